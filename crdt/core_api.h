/* The part of the core's C interface that the document uses: the prototypes of
 * the library that automerge-go links, version 0.5.0 of the core.
 *
 * The library comes with the linking of automerge-go and not of this package,
 * so every function is a weak symbol here: the package is also linked alone
 * while it is built. core_missing() says whether all of them were found. */
#ifndef SYNCLINE_CORE_API_H
#define SYNCLINE_CORE_API_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct AMactorId AMactorId;
typedef struct AMchange AMchange;
typedef struct AMdoc AMdoc;
typedef struct AMitem AMitem;
typedef struct AMobjId AMobjId;
typedef struct AMresult AMresult;

/* A view of bytes, of text or of a key: never terminated, never owned. */
typedef struct AMbyteSpan {
  const uint8_t *src;
  size_t count;
} AMbyteSpan;

/* An iterator over the items of a result. */
typedef struct AMitems {
  uint8_t detail[8 + 8 + 8];
} AMitems;

typedef struct AMunknownValue {
  AMbyteSpan bytes;
  uint8_t type_code;
} AMunknownValue;

enum { AM_OBJ_LIST = 1, AM_OBJ_MAP = 2, AM_OBJ_TEXT = 3 };

enum {
  AM_VOID = 1 << 0,
  AM_BOOL = 1 << 2,
  AM_BYTES = 1 << 3,
  AM_COUNTER = 1 << 6,
  AM_F64 = 1 << 8,
  AM_INT = 1 << 9,
  AM_NULL = 1 << 11,
  AM_OBJECT = 1 << 12,
  AM_STR = 1 << 13,
  AM_TIMESTAMP = 1 << 17,
  AM_UINT = 1 << 18,
  AM_UNKNOWN = 1 << 19,
};

/* CORE_API(F) names every function that is used: F(result, name, parameters).
 * A NULL AMobjId is the root, a NULL AMitems of heads means now. Every AMresult
 * has to be freed; what was taken from it is valid until then. */
#define CORE_API(F)                                                                                      \
  F(AMbyteSpan, AMactorIdBytes, (const AMactorId *))                                                     \
  F(AMresult *, AMactorIdFromBytes, (const uint8_t *, size_t))                                           \
  F(uint64_t, AMchangeMaxOp, (const AMchange *))                                                         \
  F(AMbyteSpan, AMchangeRawBytes, (AMchange *))                                                          \
  F(AMresult *, AMcommit, (AMdoc *, AMbyteSpan message, const int64_t *time))                            \
  F(AMresult *, AMcreate, (const AMactorId *))                                                           \
  F(AMresult *, AMfork, (AMdoc *, const AMitems *heads))                                                 \
  F(AMresult *, AMgetChangeByHash, (AMdoc *, const uint8_t *, size_t))                                   \
  F(AMresult *, AMgetChanges, (AMdoc *, const AMitems *heads))                                           \
  F(AMresult *, AMgetHeads, (AMdoc *))                                                                   \
  F(AMresult *, AMgetLastLocalChange, (AMdoc *))                                                         \
  F(bool, AMitemKey, (const AMitem *, AMbyteSpan *))                                                     \
  F(const AMobjId *, AMitemObjId, (const AMitem *))                                                      \
  F(bool, AMitemToActorId, (const AMitem *, const AMactorId **))                                         \
  F(bool, AMitemToBool, (const AMitem *, bool *))                                                        \
  F(bool, AMitemToBytes, (const AMitem *, AMbyteSpan *))                                                 \
  F(bool, AMitemToChange, (AMitem *, AMchange **))                                                       \
  F(bool, AMitemToChangeHash, (const AMitem *, AMbyteSpan *))                                            \
  F(bool, AMitemToCounter, (const AMitem *, int64_t *))                                                  \
  F(bool, AMitemToDoc, (AMitem *, AMdoc **))                                                             \
  F(bool, AMitemToF64, (const AMitem *, double *))                                                       \
  F(bool, AMitemToInt, (const AMitem *, int64_t *))                                                      \
  F(bool, AMitemToStr, (const AMitem *, AMbyteSpan *))                                                   \
  F(bool, AMitemToTimestamp, (const AMitem *, int64_t *))                                                \
  F(bool, AMitemToUint, (const AMitem *, uint64_t *))                                                    \
  F(bool, AMitemToUnknown, (const AMitem *, AMunknownValue *))                                           \
  F(uint32_t, AMitemValType, (const AMitem *))                                                           \
  F(AMresult *, AMitemFromChangeHash, (AMbyteSpan))                                                      \
  F(AMitem *, AMitemsNext, (AMitems *, ptrdiff_t))                                                       \
  F(size_t, AMitemsSize, (const AMitems *))                                                              \
  F(AMresult *, AMkeys, (const AMdoc *, const AMobjId *, const AMitems *heads))                          \
  F(AMresult *, AMlistDelete, (AMdoc *, const AMobjId *, size_t))                                        \
  F(AMresult *, AMlistGet, (const AMdoc *, const AMobjId *, size_t, const AMitems *heads))               \
  F(AMresult *, AMlistGetAll, (const AMdoc *, const AMobjId *, size_t, const AMitems *heads))            \
  F(AMresult *, AMlistIncrement, (AMdoc *, const AMobjId *, size_t, int64_t))                            \
  F(AMresult *, AMlistPutBool, (AMdoc *, const AMobjId *, size_t, bool insert, bool))                    \
  F(AMresult *, AMlistPutBytes, (AMdoc *, const AMobjId *, size_t, bool insert, AMbyteSpan))             \
  F(AMresult *, AMlistPutCounter, (AMdoc *, const AMobjId *, size_t, bool insert, int64_t))              \
  F(AMresult *, AMlistPutF64, (AMdoc *, const AMobjId *, size_t, bool insert, double))                   \
  F(AMresult *, AMlistPutInt, (AMdoc *, const AMobjId *, size_t, bool insert, int64_t))                  \
  F(AMresult *, AMlistPutNull, (AMdoc *, const AMobjId *, size_t, bool insert))                          \
  F(AMresult *, AMlistPutObject, (AMdoc *, const AMobjId *, size_t, bool insert, uint8_t))               \
  F(AMresult *, AMlistPutStr, (AMdoc *, const AMobjId *, size_t, bool insert, AMbyteSpan))               \
  F(AMresult *, AMlistPutTimestamp, (AMdoc *, const AMobjId *, size_t, bool insert, int64_t))            \
  F(AMresult *, AMlistPutUint, (AMdoc *, const AMobjId *, size_t, bool insert, uint64_t))                \
  F(AMresult *, AMlistRange, (const AMdoc *, const AMobjId *, size_t, size_t, const AMitems *heads))     \
  F(AMresult *, AMloadIncremental, (AMdoc *, const uint8_t *, size_t))                                   \
  F(AMresult *, AMmapDelete, (AMdoc *, const AMobjId *, AMbyteSpan))                                     \
  F(AMresult *, AMmapGet, (const AMdoc *, const AMobjId *, AMbyteSpan, const AMitems *heads))            \
  F(AMresult *, AMmapGetAll, (const AMdoc *, const AMobjId *, AMbyteSpan, const AMitems *heads))         \
  F(AMresult *, AMmapIncrement, (AMdoc *, const AMobjId *, AMbyteSpan, int64_t))                         \
  F(AMresult *, AMmapPutBool, (AMdoc *, const AMobjId *, AMbyteSpan, bool))                              \
  F(AMresult *, AMmapPutBytes, (AMdoc *, const AMobjId *, AMbyteSpan, AMbyteSpan))                       \
  F(AMresult *, AMmapPutCounter, (AMdoc *, const AMobjId *, AMbyteSpan, int64_t))                        \
  F(AMresult *, AMmapPutF64, (AMdoc *, const AMobjId *, AMbyteSpan, double))                             \
  F(AMresult *, AMmapPutInt, (AMdoc *, const AMobjId *, AMbyteSpan, int64_t))                            \
  F(AMresult *, AMmapPutNull, (AMdoc *, const AMobjId *, AMbyteSpan))                                    \
  F(AMresult *, AMmapPutObject, (AMdoc *, const AMobjId *, AMbyteSpan, uint8_t))                         \
  F(AMresult *, AMmapPutStr, (AMdoc *, const AMobjId *, AMbyteSpan, AMbyteSpan))                         \
  F(AMresult *, AMmapPutTimestamp, (AMdoc *, const AMobjId *, AMbyteSpan, int64_t))                      \
  F(AMresult *, AMmapPutUint, (AMdoc *, const AMobjId *, AMbyteSpan, uint64_t))                          \
  F(AMresult *, AMmapRange, (const AMdoc *, const AMobjId *, AMbyteSpan, AMbyteSpan, const AMitems *))   \
  F(const AMactorId *, AMobjIdActorId, (const AMobjId *))                                                \
  F(uint64_t, AMobjIdCounter, (const AMobjId *))                                                         \
  F(uint8_t, AMobjObjType, (const AMdoc *, const AMobjId *))                                             \
  F(size_t, AMobjSize, (const AMdoc *, const AMobjId *, const AMitems *heads))                           \
  F(size_t, AMpendingOps, (const AMdoc *))                                                               \
  F(AMresult *, AMresultCat, (const AMresult *, const AMresult *))                                       \
  F(AMbyteSpan, AMresultError, (const AMresult *))                                                       \
  F(void, AMresultFree, (AMresult *))                                                                    \
  F(AMitem *, AMresultItem, (AMresult *))                                                                \
  F(AMitems, AMresultItems, (AMresult *))                                                                \
  F(int, AMresultStatus, (const AMresult *))                                                             \
  F(size_t, AMrollback, (AMdoc *))                                                                       \
  F(AMresult *, AMsave, (AMdoc *))                                                                       \
  F(AMresult *, AMsetActorId, (AMdoc *, const AMactorId *))                                              \
  F(AMresult *, AMspliceText, (AMdoc *, const AMobjId *, size_t, ptrdiff_t del, AMbyteSpan))             \
  F(AMresult *, AMtext, (const AMdoc *, const AMobjId *, const AMitems *heads))

#define CORE_DECLARE(result, name, parameters) extern result name parameters __attribute__((weak));
CORE_API(CORE_DECLARE)
#undef CORE_DECLARE

#endif
