/* The life of a core document, and what is not reading or writing of values. */
#include "core_util.h"

#if defined(__GLIBC__)
#include <malloc.h>
#endif

const char *core_missing(void) {
#define CORE_FOUND(result, name, parameters) \
  if (!name) return #name;
  CORE_API(CORE_FOUND)
#undef CORE_FOUND
  return NULL;
}

void core_trim(void) {
#if defined(__GLIBC__)
  malloc_trim(0);
#endif
}

core_doc *core_new(const uint8_t *actor, size_t len) {
  core_doc *d = calloc(1, sizeof *d);
  if (!d) return NULL;
  d->author = AMactorIdFromBytes(actor, len);
  AMitem *item = AMresultItem(d->author);
  if (item && AMitemToActorId(item, &d->actor)) {
    d->holder = AMcreate(d->actor);
    item = AMresultItem(d->holder);
    if (item && AMitemToDoc(item, &d->doc)) return d;
  }
  core_free(d);
  return NULL;
}

void core_free(core_doc *d) {
  if (!d) return;
  if (d->holder) AMresultFree(d->holder);
  if (d->author) AMresultFree(d->author);
  free(d);
}

void core_fail(core_out *out, const AMresult *r) {
  AMbyteSpan why = AMresultError(r);
  buffer b = {0};
  put_bytes(&b, why.src, why.count);
  out->status = CORE_ERROR;
  if (b.failed) return;
  out->data = b.data;
  out->len = b.len;
}

void finish(core_out *out, buffer *b) {
  if (out->status == CORE_OK && b->failed) out->status = CORE_NO_MEMORY;
  if (out->status != CORE_OK) {
    free(b->data);
    return;
  }
  out->data = b->data;
  out->len = b->len;
}

bool has_change(core_doc *d, const uint8_t *hash, uint64_t *max_op) {
  AMresult *r = AMgetChangeByHash(d->doc, hash, 32);
  AMitem *item = AMresultItem(r);
  AMchange *c = NULL;
  bool found = item && AMitemToChange(item, &c) && c;
  if (found && max_op) {
    uint64_t m = AMchangeMaxOp(c);
    if (m > *max_op) *max_op = m;
  }
  AMresultFree(r);
  return found;
}

/* read_heads writes the heads. The largest counter of all is that of a head. */
static void read_heads(core_doc *d, core_out *out) {
  AMresult *r = AMgetHeads(d->doc);
  buffer b = {0};
  if (AMresultStatus(r) != 0) {
    core_fail(out, r);
    AMresultFree(r);
    return;
  }
  AMitems items = AMresultItems(r);
  AMbyteSpan hash;
  for (AMitem *i; (i = AMitemsNext(&items, 1));) {
    if (!AMitemToChangeHash(i, &hash)) continue;
    put_bytes(&b, hash.src, hash.count);
    has_change(d, hash.src, &out->max_op);
  }
  AMresultFree(r);
  finish(out, &b);
}

core_out core_apply(core_doc *d, const uint8_t *bytes, size_t len, const uint8_t *tips, size_t ntips) {
  core_out out = {0};
  AMresult *r = AMloadIncremental(d->doc, bytes, len);
  if (AMresultStatus(r) != 0) {
    core_fail(&out, r);
    AMresultFree(r);
    return out;
  }
  AMitem *item = AMresultItem(r);
  if (item) AMitemToUint(item, &out.n);
  AMresultFree(r);
  /* Loading into an empty document forgets who edits it. */
  r = AMsetActorId(d->doc, d->actor);
  if (AMresultStatus(r) != 0) core_fail(&out, r);
  AMresultFree(r);
  if (out.status != CORE_OK) return out;
  for (size_t i = 0; i < ntips; i++) {
    if (!has_change(d, tips + 32 * i, NULL)) {
      out.status = CORE_UNKNOWN_HEAD;
      return out;
    }
  }
  read_heads(d, &out);
  return out;
}

core_out core_changes(core_doc *d, const uint8_t *heads, size_t nheads) {
  core_out out = {0};
  past then;
  out.status = core_past(d, heads, nheads, &then);
  if (out.status != CORE_OK) return out;
  AMresult *r = AMgetChanges(d->doc, past_items(&then));
  buffer b = {0};
  if (AMresultStatus(r) != 0) core_fail(&out, r);
  AMitems items = AMresultItems(r);
  AMchange *change;
  for (AMitem *i; out.status == CORE_OK && (i = AMitemsNext(&items, 1));) {
    if (!AMitemToChange(i, &change)) continue;
    AMbyteSpan raw = AMchangeRawBytes(change);
    put_bytes(&b, raw.src, raw.count);
  }
  AMresultFree(r);
  if (then.result) AMresultFree(then.result);
  if (out.status == CORE_OK) finish(&out, &b);
  return out;
}

core_out core_knows(core_doc *d, const uint8_t *hashes, size_t n) {
  core_out out = {.n = 1};
  for (size_t i = 0; i < n && out.n; i++) out.n = has_change(d, hashes + 32 * i, NULL);
  return out;
}

core_out core_save(core_doc *d) {
  core_out out = {0};
  AMresult *r = AMsave(d->doc);
  buffer b = {0};
  AMbyteSpan bytes;
  AMitem *item = AMresultItem(r);
  if (AMresultStatus(r) != 0) {
    core_fail(&out, r);
  } else if (item && AMitemToBytes(item, &bytes)) {
    put_bytes(&b, bytes.src, bytes.count);
    finish(&out, &b);
  }
  AMresultFree(r);
  return out;
}
