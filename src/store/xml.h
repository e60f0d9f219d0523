/*
 * xml.h: a store's answer in XML, element by element.
 *
 * A document of at most FHA_XML_SIZE_MAX bytes, without a DOCTYPE: entities of its own, and what they
 * blow up to, are refused.  Names come without their namespaces.
 */
#ifndef FHA_STORE_XML_H
#define FHA_STORE_XML_H

#include "base/err.h"
#include "store/text.h"

/* A page of 1000 keys, each byte of them encoded, and what stands around them. */
#define FHA_XML_SIZE_MAX (8 * 1024 * 1024)
#define FHA_XML_DEPTH_MAX 12
#define FHA_XML_PATH_SIZE 256
/* Of one element: a key, each byte of it encoded. */
#define FHA_XML_TEXT_SIZE 8192

typedef struct FhaXmlReader
{
	/*
	 * An element begins.  path: the names from the outermost on, as "ListBucketResult/Contents/Key".
	 * attributes: name, value, name, value, NULL.  May be NULL.
	 */
	void (*begin)(void *owner, const char *path, const char *const *attributes);
	/* It ends.  text: what stands in it, behind the last element inside of it; with a NUL. */
	void (*end)(void *owner, const char *path, const char *text);
	void *owner;
} FhaXmlReader;

/* PROTOCOL: no XML, or over one of the caps; `end` may have been called before.  NO_MEMORY, or PROTOCOL when memory ends later. */
FHA_MUST_CHECK FhaCode fha_xml_read(const char *data, size_t size, const FhaXmlReader *reader,
									FhaError *err);

/* A text between two tags. */
void fha_xml_add(FhaText *to, const char *text);
/* False: it is no UTF-8, or has a control character that XML 1.0 has no way to write. */
FHA_MUST_CHECK bool fha_xml_can_hold(const char *text);

#endif
