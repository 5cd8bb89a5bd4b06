/* The document's side of the C core: one call does a whole job. A call gets
 * flat bytes that Go has made or validated, frees everything that the core
 * hands out before it returns, and answers with a core_out.
 *
 * All integers in the bytes exchanged are little endian. */
#ifndef SYNCLINE_CORE_H
#define SYNCLINE_CORE_H

#include <stdint.h>
#include <stdlib.h>

typedef struct core_doc core_doc;

/* How a call went. Keep in step with core.go. */
enum {
  CORE_OK = 0,
  CORE_ERROR,        /* the core says why in data */
  CORE_NO_MEMORY,
  CORE_NOT_FOUND,    /* nothing at this step of the path */
  CORE_EXISTS,
  CORE_NOT_MAP,      /* this step of the path asks for a map */
  CORE_NOT_LIST,
  CORE_NOT_TEXT,
  CORE_NOT_COUNTER,
  CORE_RANGE,        /* beyond the n elements that there are */
  CORE_NO_CHANGE,    /* the batch leaves the document as it is */
  CORE_UNKNOWN_HEAD, /* not a change of this document */
  CORE_DEEP,         /* nested deeper than the reader goes */
  CORE_BROKEN,       /* committed but not to be had, or failed and not undone: the document is of no use any more */
};

/* Tags of values. Keep in step with encode.go and decode.go.
 *   map   u32 count, then key (u32 length, bytes) and value each
 *   list  u32 count, then the values
 *   text, string, bytes  u32 length, bytes
 *   unknown  type code, u32 length, bytes
 *   several  u32 count, then each u64 counter, u32 length and bytes of the
 *            actor, value; the last one has won
 *   the numbers  8 bytes */
enum {
  VALUE_NULL = 0,
  VALUE_FALSE,
  VALUE_TRUE,
  VALUE_INT,
  VALUE_UINT,
  VALUE_FLOAT,
  VALUE_COUNTER,
  VALUE_TIME,
  VALUE_STRING,
  VALUE_BYTES,
  VALUE_TEXT,
  VALUE_MAP,
  VALUE_LIST,
  VALUE_UNKNOWN,
  VALUE_SEVERAL, /* what concurrent changes have put at one place */
};

/* Instructions of a batch: u8 instruction, u32 index of the operation, path,
 * arguments. A path is u32 steps, each u8 0 and a key, or u8 1 and u64 index.
 *   CREATE, PUT, UPDATE  value (of UPDATE a map, whose entries are put)
 *   DELETE      nothing; of an entity, or of the key of a map
 *   INCREMENT   i64
 *   SPLICE      u64 position, u64 code points to delete, text
 *   INSERT      u64 position, u32 count, values
 *   CUT         u64 position, u64 count */
enum {
  DO_CREATE = 1,
  DO_PUT,
  DO_UPDATE,
  DO_DELETE,
  DO_INCREMENT,
  DO_SPLICE,
  DO_INSERT,
  DO_CUT,
};

typedef struct core_out {
  int32_t status;
  uint32_t op;     /* which operation failed */
  uint32_t step;   /* at which step of its path */
  uint64_t n;      /* see the call */
  uint64_t max_op; /* of core_apply: the largest operation counter of the document */
  uint8_t *data;   /* to be freed by the caller, may be NULL */
  size_t len;
} core_out;

/* core_missing names the first function that the linked library lacks, or NULL. */
const char *core_missing(void);

/* core_new makes an empty document; NULL if the actor is refused. */
core_doc *core_new(const uint8_t *actor, size_t len);
void core_free(core_doc *doc);

/* core_apply loads concatenated chunks. tips are hashes that must be in the
 * document afterwards. data: the heads; n: how many operations came in. */
core_out core_apply(core_doc *doc, const uint8_t *bytes, size_t len, const uint8_t *tips, size_t ntips);

/* core_do carries out a batch and commits it, or nothing of it. data: the
 * change; n, for CORE_RANGE: how many elements there are. */
core_out core_do(core_doc *doc, const uint8_t *batch, size_t len, const uint8_t *message, size_t mlen, int64_t time);

/* core_try says how core_do would go, and leaves the document as it is. */
core_out core_try(core_doc *doc, const uint8_t *batch, size_t len);

/* core_read writes the value at a path as it is (nheads 0) or was at heads. */
core_out core_read(core_doc *doc, const uint8_t *path, const uint8_t *heads, size_t nheads);

/* core_conflicts writes all values at a path, as VALUE_SEVERAL without its tag. */
core_out core_conflicts(core_doc *doc, const uint8_t *path, const uint8_t *heads, size_t nheads);

/* core_keys writes the keys of the map at a path: u32 count, then each. */
core_out core_keys(core_doc *doc, const uint8_t *path, const uint8_t *heads, size_t nheads);

/* How core_select reads an entity. ALL has VALUE_SEVERAL stand where there are several
 * values. IDS has the operation stand (u64 counter, u32 length and bytes of the
 * actor) before each entity, each value of a map and each element of a list; a
 * text is written like a list then. */
enum { SELECT_ALL = 1, SELECT_IDS = 2 };

/* core_select writes entities one after the other, each u8 0, or u8 1 and a value.
 * places are for each its collection, its id and u8 how, those of one collection
 * best in a row. It stops early when it has written enough; n: how many entities there
 * are. */
core_out core_select(core_doc *doc, const uint8_t *places, size_t len, const uint8_t *heads, size_t nheads, size_t enough);

/* core_fork makes a copy of the document as it was at heads, for core_free. For
 * each object that is read as it was, the core walks the history; for the copy
 * it does so once, and carries out all of it. */
core_out core_fork(core_doc *doc, const uint8_t *heads, size_t nheads, core_doc **copy);

/* core_changes writes the changes that are neither among the heads given nor
 * their ancestors, dependencies first. */
core_out core_changes(core_doc *doc, const uint8_t *heads, size_t nheads);

/* core_knows: n is 1 if all the hashes are changes of the document. */
core_out core_knows(core_doc *doc, const uint8_t *hashes, size_t n);

/* core_save writes the whole document as one chunk of type 0. */
core_out core_save(core_doc *doc);

/* core_trim gives freed memory back to the system, where that can be asked for. */
void core_trim(void);

#endif
