/*
 * yaml.c: libyaml's tree of a kubeconfig.  See kube/yaml.h.
 */
#include "kube/yaml.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* Far above what kubectl writes: six levels, and some thirty events for each context. */
#define DEPTH_MAX 16
#define EVENTS_MAX 65536

static FhaCode
yaml_problem(const yaml_parser_t *parser, FhaError *err)
{
	if (parser->error == YAML_MEMORY_ERROR)
		return fha_error(err, FHA_NO_MEMORY, "out of memory"); /* LCOV_EXCL_LINE: no memory */
	return fha_error(err, FHA_INVALID, "the kubeconfig is not YAML: line %zu: %.100s",
					 parser->problem_mark.line + 1,
					 parser->problem != NULL ? parser->problem : "cannot be read");
}

/* Before anything is built: one document, and not more of it than any kubeconfig has. */
static FhaCode
check_size(const char *text, size_t size, FhaError *err)
{
	yaml_parser_t parser;
	FhaCode code = FHA_OK;
	int documents = 0;
	int depth = 0;
	bool ended = false;

	if (yaml_parser_initialize(&parser) == 0)
		return fha_error(err, FHA_NO_MEMORY, "out of memory"); /* LCOV_EXCL_LINE: no memory */
	yaml_parser_set_input_string(&parser, (const unsigned char *) text, size);
	for (int count = 0; code == FHA_OK && !ended; count++)
	{
		yaml_event_t event;

		if (yaml_parser_parse(&parser, &event) == 0)
		{
			code = yaml_problem(&parser, err);
			break;
		}
		ended = event.type == YAML_STREAM_END_EVENT;
		documents += event.type == YAML_DOCUMENT_START_EVENT;
		if (event.type == YAML_MAPPING_START_EVENT || event.type == YAML_SEQUENCE_START_EVENT)
			depth++;
		if (event.type == YAML_MAPPING_END_EVENT || event.type == YAML_SEQUENCE_END_EVENT)
			depth--;
		yaml_event_delete(&event);
		if (depth > DEPTH_MAX || count > EVENTS_MAX)
			code = fha_error(err, FHA_INVALID, "the kubeconfig is nested too deep, or too large");
		else if (documents > 1)
			code = fha_error(err, FHA_INVALID, "the kubeconfig has more than one YAML document");
	}
	yaml_parser_delete(&parser);
	if (code == FHA_OK && documents == 0)
		code = fha_error(err, FHA_INVALID, "the kubeconfig is empty");
	return code;
}

FhaCode
fha_yaml_init(FhaYaml *yaml, const char *text, size_t size, FhaError *err)
{
	yaml_parser_t parser;

	yaml->err = err;
	yaml->code = check_size(text, size, err);
	if (yaml->code != FHA_OK)
		return yaml->code;
	if (yaml_parser_initialize(&parser) == 0)
		return fha_error(err, FHA_NO_MEMORY, "out of memory"); /* LCOV_EXCL_LINE: no memory */
	yaml_parser_set_input_string(&parser, (const unsigned char *) text, size);
	if (yaml_parser_load(&parser, &yaml->document) == 0)
		yaml->code = yaml_problem(&parser, err); /* LCOV_EXCL_LINE: no memory */
	yaml_parser_delete(&parser);
	return yaml->code;
}

void
fha_yaml_release(FhaYaml *yaml)
{
	yaml_document_delete(&yaml->document);
}

void
fha_yaml_complain(FhaYaml *yaml, const char *format, ...)
{
	char text[sizeof(yaml->err->text)];
	va_list args;

	if (yaml->code != FHA_OK)
		return;
	va_start(args, format);
	(void) vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	yaml->code = fha_error(yaml->err, FHA_INVALID, "%s", text);
}

const char *
fha_yaml_scalar(const yaml_node_t *node)
{
	return node != NULL && node->type == YAML_SCALAR_NODE &&
				   strlen((const char *) node->data.scalar.value) == node->data.scalar.length
			   ? (const char *) node->data.scalar.value
			   : NULL;
}

/* Null in one of YAML's spellings. */
static bool
is_null(const yaml_node_t *node)
{
	const char *text = fha_yaml_scalar(node);

	return text != NULL && node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
		   (text[0] == '\0' || strcmp(text, "~") == 0 || strcmp(text, "null") == 0);
}

yaml_node_t *
fha_yaml_find(FhaYaml *yaml, const yaml_node_t *map, const char *what, const char *key)
{
	yaml_node_t *value = NULL;

	if (map == NULL || yaml->code != FHA_OK)
		return NULL;
	if (map->type != YAML_MAPPING_NODE)
	{
		fha_yaml_complain(yaml, "%s is no mapping", what);
		return NULL;
	}
	for (yaml_node_pair_t *pair = map->data.mapping.pairs.start; pair < map->data.mapping.pairs.top;
		 pair++)
	{
		const char *name = fha_yaml_scalar(yaml_document_get_node(&yaml->document, pair->key));

		if (name == NULL || strcmp(name, key) != 0)
			continue;
		if (value != NULL)
			fha_yaml_complain(yaml, "%s has \"%s\" twice", what, key);
		value = yaml_document_get_node(&yaml->document, pair->value);
	}
	return is_null(value) ? NULL : value;
}

const char *
fha_yaml_find_text(FhaYaml *yaml, const yaml_node_t *map, const char *what, const char *key)
{
	const yaml_node_t *value = fha_yaml_find(yaml, map, what, key);
	const char *text = fha_yaml_scalar(value);

	if (value == NULL)
		return NULL;
	for (const char *at = text; at != NULL && *at != '\0'; at++)
		if ((unsigned char) *at < ' ' || *at == 0x7f)
			text = NULL;
	if (text == NULL)
		fha_yaml_complain(yaml, "\"%s\" of %s is no text of one line", key, what);
	return text == NULL || text[0] == '\0' ? NULL : text;
}

yaml_node_t *
fha_yaml_find_named(FhaYaml *yaml, const char *list, const char *key, const char *name)
{
	const yaml_node_t *root = yaml_document_get_root_node(&yaml->document);
	const yaml_node_t *all = fha_yaml_find(yaml, root, "the kubeconfig", list);

	if (all != NULL && all->type != YAML_SEQUENCE_NODE)
		fha_yaml_complain(yaml, "\"%s\" is no list", list);
	if (yaml->code != FHA_OK)
		return NULL;
	for (yaml_node_item_t *item = all == NULL ? NULL : all->data.sequence.items.start;
		 item != NULL && item < all->data.sequence.items.top; item++)
	{
		const yaml_node_t *one = yaml_document_get_node(&yaml->document, *item);
		const char *its_name = fha_yaml_find_text(yaml, one, list, "name");

		if (its_name != NULL && strcmp(its_name, name) == 0)
		{
			yaml_node_t *found = fha_yaml_find(yaml, one, list, key);

			if (found == NULL)
				fha_yaml_complain(yaml, "\"%.60s\" of %s has no \"%s\"", name, list, key);
			return found;
		}
	}
	fha_yaml_complain(yaml, "there is no \"%.60s\" among the %s of the kubeconfig", name, list);
	return NULL;
}
