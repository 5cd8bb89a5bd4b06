/* Bytes in and out, results held, paths and points in history. */
#include "core_util.h"

void put_bytes(buffer *b, const void *src, size_t n) {
  if (b->failed || n == 0) return;
  if (b->cap - b->len < n) {
    size_t cap = b->cap ? b->cap : 256;
    while (cap - b->len < n) cap *= 2;
    uint8_t *grown = realloc(b->data, cap);
    if (!grown) {
      b->failed = true;
      return;
    }
    b->data = grown;
    b->cap = cap;
  }
  memcpy(b->data + b->len, src, n);
  b->len += n;
}

void put_u8(buffer *b, uint8_t v) { put_bytes(b, &v, 1); }

void put_u32(buffer *b, uint32_t v) {
  uint8_t le[4];
  for (int i = 0; i < 4; i++) le[i] = v >> 8 * i;
  put_bytes(b, le, sizeof le);
}

void put_u64(buffer *b, uint64_t v) {
  uint8_t le[8];
  for (int i = 0; i < 8; i++) le[i] = v >> 8 * i;
  put_bytes(b, le, sizeof le);
}

void put_span(buffer *b, AMbyteSpan s) {
  put_u32(b, s.count);
  put_bytes(b, s.src, s.count);
}

uint8_t get_u8(reader *r) { return *r->p++; }

uint32_t get_u32(reader *r) {
  uint32_t v = 0;
  for (int i = 0; i < 4; i++) v |= (uint32_t)*r->p++ << 8 * i;
  return v;
}

uint64_t get_u64(reader *r) {
  uint64_t v = 0;
  for (int i = 0; i < 8; i++) v |= (uint64_t)*r->p++ << 8 * i;
  return v;
}

AMbyteSpan get_span(reader *r) {
  AMbyteSpan s;
  s.count = get_u32(r);
  s.src = r->p;
  r->p += s.count;
  return s;
}

bool hold(held *h, AMresult *r) {
  if (h->len == h->cap) {
    size_t cap = h->cap ? 2 * h->cap : 8;
    AMresult **grown = realloc(h->results, cap * sizeof *grown);
    if (!grown) {
      AMresultFree(r);
      return false;
    }
    h->results = grown;
    h->cap = cap;
  }
  h->results[h->len++] = r;
  return true;
}

void release(held *h) {
  while (h->len) AMresultFree(h->results[--h->len]);
  free(h->results);
  *h = (held){0};
}

/* hashes_of joins hashes by halves, as joining copies both sides. */
static AMresult *hashes_of(const uint8_t *hashes, size_t n) {
  if (n == 1) return AMitemFromChangeHash((AMbyteSpan){hashes, 32});
  AMresult *left = hashes_of(hashes, n / 2);
  AMresult *right = hashes_of(hashes + 32 * (n / 2), n - n / 2);
  AMresult *both = AMresultCat(left, right);
  AMresultFree(left);
  AMresultFree(right);
  return both;
}

int core_past(core_doc *d, const uint8_t *heads, size_t n, past *p) {
  *p = (past){0};
  if (n == 0) return CORE_OK;
  for (size_t i = 0; i < n; i++)
    if (!has_change(d, heads + 32 * i, NULL)) return CORE_UNKNOWN_HEAD;
  p->result = hashes_of(heads, n);
  p->items = AMresultItems(p->result);
  return CORE_OK;
}

const AMitems *past_items(const past *p) { return p->result ? &p->items : NULL; }

step get_step(reader *r) {
  step s = {0};
  s.is_index = get_u8(r);
  if (s.is_index)
    s.index = get_u64(r);
  else
    s.key = get_span(r);
  return s;
}

node root_node(void) { return (node){.type = AM_OBJECT, .kind = AM_OBJ_MAP}; }

int descend(const AMdoc *doc, node from, step s, const AMitems *heads, held *h, node *to, uint64_t *n) {
  if (from.type == AM_VOID) return CORE_NOT_FOUND;
  AMresult *r;
  if (s.is_index) {
    if (from.type != AM_OBJECT || from.kind != AM_OBJ_LIST) return CORE_NOT_LIST;
    *n = AMobjSize(doc, from.obj, heads);
    if (s.index >= *n) return CORE_RANGE;
    r = AMlistGet(doc, from.obj, s.index, heads);
  } else {
    if (from.type != AM_OBJECT || from.kind != AM_OBJ_MAP) return CORE_NOT_MAP;
    r = AMmapGet(doc, from.obj, s.key, heads);
  }
  if (!hold(h, r)) return CORE_NO_MEMORY;
  *to = (node){.type = AM_VOID};
  to->item = AMresultItem(r);
  if (AMresultStatus(r) != 0 || !to->item) return CORE_OK;
  to->type = AMitemValType(to->item);
  if (to->type == AM_OBJECT) {
    to->obj = AMitemObjId(to->item);
    to->kind = AMobjObjType(doc, to->obj);
  }
  return CORE_OK;
}
