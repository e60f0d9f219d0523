/*
 * page.c: the status page's files.  See page.h.
 */
#include "show/page.h"

#include <string.h>

/* The assembler reads the file; the Makefile knows what this object depends on. */
#define EMBED(name, file)                                                   \
	__asm__(".pushsection .rodata\n"                                        \
			".globl " #name "\n.hidden " #name "\n" #name ":\n"             \
			".incbin \"src/show/page/" file "\"\n"                          \
			".globl " #name "_end\n.hidden " #name "_end\n" #name "_end:\n" \
			".byte 0\n"                                                     \
			".popsection\n");                                               \
	extern const char name[] __attribute__((visibility("hidden")));         \
	extern const char name##_end[] __attribute__((visibility("hidden")))

EMBED(fha_page_html, "page.html");
EMBED(fha_page_css, "page.css");
EMBED(fha_page_js, "page.js");
EMBED(fha_page_plot, "plot.js");
EMBED(fha_page_icon, "icon.svg");

static const struct
{
	const char *path;
	const char *type;
	const char *body;
	const char *end;
} files[] = {
	{"/", "text/html; charset=utf-8", fha_page_html, fha_page_html_end},
	{"/page.css", "text/css; charset=utf-8", fha_page_css, fha_page_css_end},
	{"/page.js", "text/javascript; charset=utf-8", fha_page_js, fha_page_js_end},
	{"/plot.js", "text/javascript; charset=utf-8", fha_page_plot, fha_page_plot_end},
	{"/icon.svg", "image/svg+xml", fha_page_icon, fha_page_icon_end},
};

bool
fha_page_file(const char *path, FhaPageFile *out)
{
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		if (strcmp(files[i].path, path) == 0)
		{
			*out = (FhaPageFile){files[i].path, files[i].type, files[i].body,
								 (size_t) (files[i].end - files[i].body)};
			return true;
		}
	return false;
}

const FhaHttpHeader *
fha_page_headers(void)
{
	static const FhaHttpHeader headers[] = {
		{"Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; "
									"img-src 'self'; connect-src 'self'; "
									"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
									"require-trusted-types-for 'script'; trusted-types 'none'"},
		{"X-Frame-Options", "DENY"},
		{"Referrer-Policy", "no-referrer"},
		{"Cross-Origin-Opener-Policy", "same-origin"},
		{"Permissions-Policy", "camera=(), geolocation=(), microphone=()"},
		{"Cache-Control", "no-store"},
		{NULL, NULL},
	};

	return headers;
}
