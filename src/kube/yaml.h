/*
 * yaml.h: typed, capped reads over libyaml's tree of a kubeconfig.
 */
#ifndef FHA_KUBE_YAML_H
#define FHA_KUBE_YAML_H

#include <stddef.h>

#include <yaml.h>

#include "base/err.h"

/* The first thing that is wrong stays in code: a caller reads everything and looks at the end. */
typedef struct FhaYaml
{
	yaml_document_t document;
	FhaCode code;
	FhaError *err;
} FhaYaml;

/* One document, nested and as long as a kubeconfig may be.  INVALID, NO_MEMORY; else release it. */
FHA_MUST_CHECK FhaCode fha_yaml_init(FhaYaml *yaml, const char *text, size_t size, FhaError *err);
void fha_yaml_release(FhaYaml *yaml);

/* INVALID with this sentence, unless something was wrong before. */
void fha_yaml_complain(FhaYaml *yaml, const char *format, ...) FHA_PRINTF(2, 3);

/* A scalar's text; NULL: it is none, or has a NUL in it. */
const char *fha_yaml_scalar(const yaml_node_t *node);

/* A key's value; NULL if it is not there, or null.  `what` is for the complaint. */
yaml_node_t *fha_yaml_find(FhaYaml *yaml, const yaml_node_t *map, const char *what,
						   const char *key);
/* The same of a text on one line; NULL, too, if it is empty. */
const char *fha_yaml_find_text(FhaYaml *yaml, const yaml_node_t *map, const char *what,
							   const char *key);

/* In the root's list `list`, what stands under `key` beside this name; NULL: a complaint. */
yaml_node_t *fha_yaml_find_named(FhaYaml *yaml, const char *list, const char *key,
								 const char *name);

#endif
