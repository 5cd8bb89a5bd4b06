/* What the C files of the document share. */
#ifndef SYNCLINE_CORE_UTIL_H
#define SYNCLINE_CORE_UTIL_H

#include <stdbool.h>
#include <string.h>

#include "core.h"
#include "core_api.h"

struct core_doc {
  AMresult *holder; /* owns doc */
  AMdoc *doc;
  AMresult *author; /* owns actor */
  const AMactorId *actor;
};

/* buffer grows; failed is set when memory ran out. */
typedef struct buffer {
  uint8_t *data;
  size_t len, cap;
  bool failed;
} buffer;

void put_bytes(buffer *b, const void *src, size_t n);
void put_u8(buffer *b, uint8_t v);
void put_u32(buffer *b, uint32_t v);
void put_u64(buffer *b, uint64_t v);
void put_span(buffer *b, AMbyteSpan s);

/* reader walks bytes that Go has made, so it trusts them. */
typedef struct reader {
  const uint8_t *p, *end;
} reader;

uint8_t get_u8(reader *r);
uint32_t get_u32(reader *r);
uint64_t get_u64(reader *r);
AMbyteSpan get_span(reader *r);

/* held keeps the results that something at hand still points into. */
typedef struct held {
  AMresult **results;
  size_t len, cap;
} held;

/* hold takes ownership of the result and returns false if memory ran out. */
bool hold(held *h, AMresult *r);
void release(held *h);

/* past is a point in the document's history. */
typedef struct past {
  AMresult *result;
  AMitems items;
} past;

/* core_past fills p; the status is CORE_OK, CORE_UNKNOWN_HEAD or CORE_ERROR. */
int core_past(core_doc *doc, const uint8_t *heads, size_t n, past *p);
const AMitems *past_items(const past *p);

/* node is what a path leads to. Containers have obj, NULL being the root. */
typedef struct node {
  uint32_t type; /* AM_VOID, AM_OBJECT, … */
  uint8_t kind;  /* of a container: AM_OBJ_… */
  const AMobjId *obj;
  AMitem *item; /* NULL for the root */
} node;

/* step is one step of a path. */
typedef struct step {
  bool is_index;
  AMbyteSpan key;
  uint64_t index;
} step;

step get_step(reader *r);
node root_node(void);

/* descend takes one step. On failure the status says why and n how many
 * elements there are. A key that is not there is no failure: type AM_VOID. */
int descend(const AMdoc *doc, node from, step s, const AMitems *heads, held *h, node *to, uint64_t *n);

/* core_fail fills out from a result with an error. */
void core_fail(core_out *out, const AMresult *r);

/* has_change looks a hash up and raises max_op, unless NULL, to the change's
 * largest operation counter. */
bool has_change(core_doc *doc, const uint8_t *hash, uint64_t *max_op);

/* finish hands the buffer's bytes over if all went well. */
void finish(core_out *out, buffer *b);

#endif
