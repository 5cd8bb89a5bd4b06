/* Reading values out of the core into one flat buffer. */
#include "core_util.h"

/* How deep containers may be nested for the reader, which recurses: hostile
 * changes can nest as deep as they have operations. Keep in step with MaxDepth. */
enum { MAX_DEPTH = 1000 };

typedef struct walk {
  const AMdoc *doc;
  const AMitems *heads;
  bool all; /* also the values that lost, as VALUE_SEVERAL */
  bool ids; /* before each value in a container the operation that it is of */
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

static void put_operation(buffer *b, const AMitem *item) {
  const AMobjId *op = AMitemObjId(item);
  put_u64(b, AMobjIdCounter(op));
  put_span(b, AMactorIdBytes(AMobjIdActorId(op)));
}

/* walk_values writes values with the operations that they are of. */
static void walk_values(walk *w, AMitems *items, int depth) {
  put_u32(&w->out, AMitemsSize(items));
  for (AMitem *i; w->status == CORE_OK && (i = AMitemsNext(items, 1));) {
    put_operation(&w->out, i);
    walk_item(w, i, depth);
  }
}

/* all_at lists the values that concurrent changes have put at one place. */
static AMresult *all_at(const walk *w, const AMobjId *obj, step at) {
  return at.is_index ? AMlistGetAll(w->doc, obj, at.index, w->heads) : AMmapGetAll(w->doc, obj, at.key, w->heads);
}

/* walk_place writes what is at a place, of which item is the value that has won. */
static void walk_place(walk *w, const AMobjId *obj, step at, const AMitem *item, int depth) {
  if (w->ids) put_operation(&w->out, item);
  if (!w->all) {
    walk_item(w, item, depth);
    return;
  }
  AMresult *r = all_at(w, obj, at);
  AMitems items = AMresultItems(r);
  if (AMresultStatus(r) != 0) {
    w->status = CORE_ERROR;
  } else if (AMitemsSize(&items) < 2) {
    walk_item(w, item, depth);
  } else {
    put_u8(&w->out, VALUE_SEVERAL);
    walk_values(w, &items, depth);
  }
  AMresultFree(r);
}

static void walk_items(walk *w, const AMobjId *obj, AMresult *r, uint8_t tag, int depth) {
  AMitems items = AMresultItems(r);
  bool keys = tag == VALUE_MAP;
  put_u8(&w->out, tag);
  put_u32(&w->out, AMitemsSize(&items));
  step at = {.is_index = !keys};
  for (AMitem *i; w->status == CORE_OK && (i = AMitemsNext(&items, 1)); at.index++) {
    if (keys) {
      AMitemKey(i, &at.key);
      put_span(&w->out, at.key);
    }
    walk_place(w, obj, at, i, depth);
  }
}

/* walk_elements writes a text element by element. */
static void walk_elements(walk *w, const AMobjId *obj, AMresult *r, int depth) {
  bool all = w->all;
  w->all = false; /* nobody writes one character over another */
  walk_items(w, obj, r, VALUE_TEXT, depth);
  w->all = all;
}

static void walk_object(walk *w, const AMobjId *obj, uint8_t kind, int depth) {
  const AMbyteSpan all = {0};
  AMresult *r;
  if (depth > MAX_DEPTH && kind != AM_OBJ_TEXT) {
    w->status = CORE_DEEP;
    return;
  }
  if (kind == AM_OBJ_TEXT && !w->ids)
    r = AMtext(w->doc, obj, w->heads);
  else if (kind == AM_OBJ_TEXT || kind == AM_OBJ_LIST)
    r = AMlistRange(w->doc, obj, 0, SIZE_MAX, w->heads);
  else
    r = AMmapRange(w->doc, obj, all, all, w->heads);
  if (AMresultStatus(r) != 0)
    w->status = CORE_ERROR;
  else if (kind == AM_OBJ_TEXT && w->ids)
    walk_elements(w, obj, r, depth);
  else if (kind == AM_OBJ_TEXT)
    walk_text(w, r);
  else
    walk_items(w, obj, r, kind == AM_OBJ_LIST ? VALUE_LIST : VALUE_MAP, depth);
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

core_out core_fork(core_doc *d, const uint8_t *heads, size_t nheads, core_doc **copy) {
  core_out out = {0};
  core_doc *c = calloc(1, sizeof *c);
  past then = {0};
  out.status = c ? core_past(d, heads, nheads, &then) : CORE_NO_MEMORY;
  if (out.status == CORE_OK) {
    c->holder = AMfork(d->doc, past_items(&then));
    AMitem *item = AMresultItem(c->holder);
    if (AMresultStatus(c->holder) != 0)
      core_fail(&out, c->holder);
    else if (!item || !AMitemToDoc(item, &c->doc))
      out.status = CORE_ERROR;
  }
  if (then.result) AMresultFree(then.result);
  if (out.status == CORE_OK)
    *copy = c;
  else
    core_free(c);
  return out;
}

core_out core_read(core_doc *d, const uint8_t *path, const uint8_t *heads, size_t nheads) {
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
    AMresult *all = all_at(&w, s.parent.obj, s.last);
    AMitems items = AMresultItems(all);
    if (AMresultStatus(all) != 0)
      core_fail(&out, all);
    else
      walk_values(&w, &items, 0);
    if (out.status == CORE_OK) out.status = w.status;
    AMresultFree(all);
  }
  finish(&out, &w.out);
  search_end(&s);
  return out;
}

core_out core_keys(core_doc *d, const uint8_t *path, const uint8_t *heads, size_t nheads) {
  core_out out = {0};
  search s;
  search_begin(d, path, heads, nheads, &s, &out);
  buffer b = {0};
  if (out.status == CORE_OK && (s.at.type != AM_OBJECT || s.at.kind != AM_OBJ_MAP)) out.status = CORE_NOT_MAP;
  if (out.status == CORE_OK) {
    AMresult *r = AMkeys(d->doc, s.at.obj, past_items(&s.then));
    AMitems items = AMresultItems(r);
    if (AMresultStatus(r) != 0) core_fail(&out, r);
    put_u32(&b, AMitemsSize(&items));
    AMbyteSpan key;
    for (AMitem *i; (i = AMitemsNext(&items, 1));)
      if (AMitemToStr(i, &key)) put_span(&b, key);
    AMresultFree(r);
  }
  finish(&out, &b);
  search_end(&s);
  return out;
}

static bool same(AMbyteSpan a, AMbyteSpan b) { return a.count == b.count && memcmp(a.src, b.src, a.count) == 0; }

core_out core_select(core_doc *d, const uint8_t *places, size_t len, const uint8_t *heads, size_t nheads, size_t enough) {
  core_out out = {0};
  past then;
  out.status = core_past(d, heads, nheads, &then);
  walk w = {.doc = d->doc, .heads = past_items(&then), .status = out.status};
  held h = {0};
  node in = {0};
  AMbyteSpan collection = {0};
  for (reader r = {places, places + len}; w.status == CORE_OK && r.p < r.end && w.out.len < enough; out.n++) {
    step first = {.key = get_span(&r)}, second = {.key = get_span(&r)};
    uint8_t how = get_u8(&r);
    w.all = how & SELECT_ALL;
    w.ids = how & SELECT_IDS;
    if (!collection.src || !same(collection, first.key)) {
      collection = first.key;
      release(&h);
      w.status = descend(d->doc, root_node(), first, w.heads, &h, &in, NULL);
      if (w.status != CORE_OK) break;
    }
    node at = {.type = AM_VOID};
    held own = {0};
    if (in.type == AM_OBJECT && in.kind == AM_OBJ_MAP) w.status = descend(d->doc, in, second, w.heads, &own, &at, NULL);
    if (w.status == CORE_OK) {
      put_u8(&w.out, at.type != AM_VOID);
      if (at.type != AM_VOID) walk_place(&w, in.obj, second, at.item, 1);
    }
    release(&own);
  }
  out.status = w.status;
  finish(&out, &w.out);
  release(&h);
  if (then.result) AMresultFree(then.result);
  return out;
}
