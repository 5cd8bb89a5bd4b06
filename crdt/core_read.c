/* Reading values out of the core into one flat buffer. */
#include "core_util.h"

/* How deep containers may be nested for the reader, which recurses: hostile
 * changes can nest as deep as they have operations. Keep in step with MaxDepth. */
enum { MAX_DEPTH = 1000 };

typedef struct walk {
  const AMdoc *doc;
  const AMitems *heads;
  buffer out;
  int status;
} walk;

static void walk_object(walk *w, const AMobjId *obj, uint8_t kind, int depth);

static void walk_item(walk *w, const AMitem *item, int depth) {
  buffer *b = &w->out;
  AMbyteSpan s = {0};
  int64_t i = 0;
  uint64_t u = 0;
  double f = 0;
  bool yes = false;
  AMunknownValue unknown = {0};
  switch (AMitemValType(item)) {
  case AM_BOOL:
    AMitemToBool(item, &yes);
    put_u8(b, yes ? VALUE_TRUE : VALUE_FALSE);
    return;
  case AM_INT:
    AMitemToInt(item, &i);
    put_u8(b, VALUE_INT);
    put_u64(b, i);
    return;
  case AM_UINT:
    AMitemToUint(item, &u);
    put_u8(b, VALUE_UINT);
    put_u64(b, u);
    return;
  case AM_F64:
    AMitemToF64(item, &f);
    memcpy(&u, &f, sizeof u);
    put_u8(b, VALUE_FLOAT);
    put_u64(b, u);
    return;
  case AM_COUNTER:
    AMitemToCounter(item, &i);
    put_u8(b, VALUE_COUNTER);
    put_u64(b, i);
    return;
  case AM_TIMESTAMP:
    AMitemToTimestamp(item, &i);
    put_u8(b, VALUE_TIME);
    put_u64(b, i);
    return;
  case AM_STR:
    AMitemToStr(item, &s);
    put_u8(b, VALUE_STRING);
    put_span(b, s);
    return;
  case AM_BYTES:
    AMitemToBytes(item, &s);
    put_u8(b, VALUE_BYTES);
    put_span(b, s);
    return;
  case AM_UNKNOWN:
    AMitemToUnknown(item, &unknown);
    put_u8(b, VALUE_UNKNOWN);
    put_u8(b, unknown.type_code);
    put_span(b, unknown.bytes);
    return;
  case AM_OBJECT: {
    const AMobjId *obj = AMitemObjId(item);
    walk_object(w, obj, AMobjObjType(w->doc, obj), depth + 1);
    return;
  }
  default:
    put_u8(b, VALUE_NULL);
  }
}

static void walk_text(walk *w, AMresult *r) {
  AMbyteSpan s = {0};
  AMitem *item = AMresultItem(r);
  if (item) AMitemToStr(item, &s);
  put_u8(&w->out, VALUE_TEXT);
  put_span(&w->out, s);
}

static void walk_items(walk *w, AMresult *r, bool keys, int depth) {
  AMitems items = AMresultItems(r);
  put_u8(&w->out, keys ? VALUE_MAP : VALUE_LIST);
  put_u32(&w->out, AMitemsSize(&items));
  for (AMitem *i; w->status == CORE_OK && (i = AMitemsNext(&items, 1));) {
    AMbyteSpan key = {0};
    if (keys) {
      AMitemKey(i, &key);
      put_span(&w->out, key);
    }
    walk_item(w, i, depth);
  }
}

static void walk_object(walk *w, const AMobjId *obj, uint8_t kind, int depth) {
  const AMbyteSpan all = {0};
  AMresult *r;
  if (depth > MAX_DEPTH && kind != AM_OBJ_TEXT) {
    w->status = CORE_DEEP;
    return;
  }
  if (kind == AM_OBJ_TEXT)
    r = AMtext(w->doc, obj, w->heads);
  else if (kind == AM_OBJ_LIST)
    r = AMlistRange(w->doc, obj, 0, SIZE_MAX, w->heads);
  else
    r = AMmapRange(w->doc, obj, all, all, w->heads);
  if (AMresultStatus(r) != 0)
    w->status = CORE_ERROR;
  else if (kind == AM_OBJ_TEXT)
    walk_text(w, r);
  else
    walk_items(w, r, kind != AM_OBJ_LIST, depth);
  AMresultFree(r);
}

/* search is a path followed at a point in history. */
typedef struct search {
  past then;
  held held;
  node parent, at; /* parent is the root too if the path is empty */
  step last;
} search;

/* search_begin follows the path; out says how that went. search_end is due in any case. */
static void search_begin(core_doc *d, const uint8_t *path, const uint8_t *heads, size_t nheads, search *s, core_out *out) {
  *s = (search){.parent = root_node(), .at = root_node()};
  out->status = core_past(d, heads, nheads, &s->then);
  reader r = {.p = path};
  uint32_t steps = get_u32(&r);
  for (uint32_t i = 0; i < steps && out->status == CORE_OK; i++) {
    s->last = get_step(&r);
    s->parent = s->at;
    out->step = i;
    out->status = descend(d->doc, s->parent, s->last, past_items(&s->then), &s->held, &s->at, &out->n);
    if (out->status == CORE_OK && s->at.type == AM_VOID) out->status = CORE_NOT_FOUND;
  }
}

static void search_end(search *s) {
  release(&s->held);
  if (s->then.result) AMresultFree(s->then.result);
}

/* FORK_BELOW is for paths how short a read of the past makes a copy of the
 * document as it was. For each object that is read as it was, the core walks
 * the history; for the copy it does so once, and carries out all of it. */
enum { FORK_BELOW = 2 };

/* core_read_copy reads from a copy of the document as it was. */
static core_out core_read_copy(core_doc *d, const uint8_t *path, const uint8_t *heads, size_t nheads) {
  core_out out = {0};
  core_doc copy = {0};
  past then;
  out.status = core_past(d, heads, nheads, &then);
  if (out.status != CORE_OK) return out;
  copy.holder = AMfork(d->doc, past_items(&then));
  AMresultFree(then.result);
  AMitem *item = AMresultItem(copy.holder);
  if (AMresultStatus(copy.holder) != 0)
    core_fail(&out, copy.holder);
  else if (item && AMitemToDoc(item, &copy.doc))
    out = core_read(&copy, path, NULL, 0);
  else
    out.status = CORE_ERROR;
  AMresultFree(copy.holder);
  return out;
}

core_out core_read(core_doc *d, const uint8_t *path, const uint8_t *heads, size_t nheads) {
  reader steps = {.p = path};
  if (nheads && get_u32(&steps) < FORK_BELOW) return core_read_copy(d, path, heads, nheads);
  core_out out = {0};
  search s;
  search_begin(d, path, heads, nheads, &s, &out);
  walk w = {.doc = d->doc, .heads = past_items(&s.then)};
  if (out.status == CORE_OK) {
    if (s.at.item)
      walk_item(&w, s.at.item, 0);
    else
      walk_object(&w, NULL, AM_OBJ_MAP, 0);
    out.status = w.status;
  }
  finish(&out, &w.out);
  search_end(&s);
  return out;
}

core_out core_conflicts(core_doc *d, const uint8_t *path, const uint8_t *heads, size_t nheads) {
  core_out out = {0};
  search s;
  search_begin(d, path, heads, nheads, &s, &out);
  walk w = {.doc = d->doc, .heads = past_items(&s.then)};
  if (out.status == CORE_OK) {
    AMresult *all = s.last.is_index ? AMlistGetAll(d->doc, s.parent.obj, s.last.index, w.heads)
                                    : AMmapGetAll(d->doc, s.parent.obj, s.last.key, w.heads);
    AMitems items = AMresultItems(all);
    if (AMresultStatus(all) != 0) core_fail(&out, all);
    put_u32(&w.out, AMitemsSize(&items));
    for (AMitem *i; out.status == CORE_OK && (i = AMitemsNext(&items, 1));) {
      const AMobjId *op = AMitemObjId(i);
      put_u64(&w.out, AMobjIdCounter(op));
      put_span(&w.out, AMactorIdBytes(AMobjIdActorId(op)));
      walk_item(&w, i, 0);
      out.status = w.status;
    }
    AMresultFree(all);
  }
  finish(&out, &w.out);
  search_end(&s);
  return out;
}
