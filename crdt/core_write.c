/* Carrying out a batch of operations as one change. */
#include "core_util.h"

/* job is one batch on its way. */
typedef struct job {
  AMdoc *doc;
  reader in;
  core_out *out;
} job;

/* place is where a value goes: a key of a map or a position of a list. */
typedef struct place {
  const AMobjId *obj;
  step at;
  bool insert;
} place;

static bool ok(job *j) { return j->out->status == CORE_OK; }

/* taken ends a call of the core that returns nothing of use. */
static void taken(job *j, AMresult *r) {
  if (AMresultStatus(r) != 0 && ok(j)) core_fail(j->out, r);
  AMresultFree(r);
}

static void put_value(job *j, place p);

static void splice(job *j, const AMobjId *text, uint64_t pos, uint64_t del, AMbyteSpan s) {
  if (del || s.count) taken(j, AMspliceText(j->doc, text, pos, (ptrdiff_t)del, s));
}

/* put_object makes a container and fills it from the bytes at hand. */
static void put_object(job *j, place p, uint8_t tag) {
  uint8_t kind = tag == VALUE_MAP ? AM_OBJ_MAP : tag == VALUE_LIST ? AM_OBJ_LIST : AM_OBJ_TEXT;
  AMresult *r = p.at.is_index ? AMlistPutObject(j->doc, p.obj, p.at.index, p.insert, kind)
                              : AMmapPutObject(j->doc, p.obj, p.at.key, kind);
  AMitem *item = AMresultItem(r);
  if (AMresultStatus(r) != 0 || !item) {
    taken(j, r);
    return;
  }
  const AMobjId *obj = AMitemObjId(item);
  if (tag == VALUE_TEXT) {
    splice(j, obj, 0, 0, get_span(&j->in));
  } else {
    uint32_t n = get_u32(&j->in);
    for (uint32_t i = 0; i < n && ok(j); i++) {
      place inside = {.obj = obj};
      if (tag == VALUE_MAP) {
        inside.at.key = get_span(&j->in);
      } else {
        inside.at = (step){.is_index = true, .index = i};
        inside.insert = true;
      }
      put_value(j, inside);
    }
  }
  AMresultFree(r);
}

/* put_value reads a value and puts it. */
static void put_value(job *j, place p) {
  AMdoc *d = j->doc;
  const AMobjId *o = p.obj;
  AMbyteSpan k = p.at.key, s;
  size_t i = p.at.index;
  bool list = p.at.is_index, ins = p.insert;
  uint8_t tag = get_u8(&j->in);
  uint64_t u;
  double f;
  switch (tag) {
  case VALUE_NULL:
    taken(j, list ? AMlistPutNull(d, o, i, ins) : AMmapPutNull(d, o, k));
    return;
  case VALUE_FALSE:
  case VALUE_TRUE:
    taken(j, list ? AMlistPutBool(d, o, i, ins, tag == VALUE_TRUE) : AMmapPutBool(d, o, k, tag == VALUE_TRUE));
    return;
  case VALUE_INT:
    u = get_u64(&j->in);
    taken(j, list ? AMlistPutInt(d, o, i, ins, (int64_t)u) : AMmapPutInt(d, o, k, (int64_t)u));
    return;
  case VALUE_UINT:
    u = get_u64(&j->in);
    taken(j, list ? AMlistPutUint(d, o, i, ins, u) : AMmapPutUint(d, o, k, u));
    return;
  case VALUE_FLOAT:
    u = get_u64(&j->in);
    memcpy(&f, &u, sizeof f);
    taken(j, list ? AMlistPutF64(d, o, i, ins, f) : AMmapPutF64(d, o, k, f));
    return;
  case VALUE_COUNTER:
    u = get_u64(&j->in);
    taken(j, list ? AMlistPutCounter(d, o, i, ins, (int64_t)u) : AMmapPutCounter(d, o, k, (int64_t)u));
    return;
  case VALUE_TIME:
    u = get_u64(&j->in);
    taken(j, list ? AMlistPutTimestamp(d, o, i, ins, (int64_t)u) : AMmapPutTimestamp(d, o, k, (int64_t)u));
    return;
  case VALUE_STRING:
    s = get_span(&j->in);
    taken(j, list ? AMlistPutStr(d, o, i, ins, s) : AMmapPutStr(d, o, k, s));
    return;
  case VALUE_BYTES:
    s = get_span(&j->in);
    taken(j, list ? AMlistPutBytes(d, o, i, ins, s) : AMmapPutBytes(d, o, k, s));
    return;
  default:
    put_object(j, p, tag);
  }
}

static void fail(job *j, int status, uint64_t n) {
  if (!ok(j)) return;
  j->out->status = status;
  j->out->n = n;
}

/* create makes the collection if need be, and puts the entity. */
static void create(job *j, held *h, step collection, step entity) {
  node c, e;
  uint64_t n = 0;
  int status = descend(j->doc, root_node(), collection, NULL, h, &c, &n);
  if (status == CORE_OK && c.type == AM_VOID) {
    AMresult *made = AMmapPutObject(j->doc, NULL, collection.key, AM_OBJ_MAP);
    if (AMresultStatus(made) != 0) {
      taken(j, made);
      return;
    }
    if (!hold(h, made)) {
      fail(j, CORE_NO_MEMORY, 0);
      return;
    }
    c = (node){.type = AM_OBJECT, .kind = AM_OBJ_MAP, .obj = AMitemObjId(AMresultItem(made))};
  }
  if (status == CORE_OK) {
    j->out->step = 1;
    status = descend(j->doc, c, entity, NULL, h, &e, &n);
  }
  if (status == CORE_OK && e.type != AM_VOID) status = CORE_EXISTS;
  if (status != CORE_OK) {
    fail(j, status, n);
    return;
  }
  put_value(j, (place){.obj = c.obj, .at = entity});
}

/* is_container fails the job unless the path led to that kind. */
static bool is_container(job *j, node at, uint8_t kind, int status) {
  if (at.type == AM_OBJECT && at.kind == kind) return true;
  fail(j, at.type == AM_VOID ? CORE_NOT_FOUND : status, 0);
  return false;
}

static void put_fields(job *j, node at) {
  get_u8(&j->in); /* VALUE_MAP */
  uint32_t n = get_u32(&j->in);
  for (uint32_t i = 0; i < n && ok(j); i++) put_value(j, (place){.obj = at.obj, .at.key = get_span(&j->in)});
}

static void delete(job *j, node parent, step last, node at) {
  if (at.type == AM_VOID)
    fail(j, CORE_NOT_FOUND, 0);
  else if (last.is_index)
    taken(j, AMlistDelete(j->doc, parent.obj, last.index));
  else
    taken(j, AMmapDelete(j->doc, parent.obj, last.key));
}

static void increment(job *j, node parent, step last, node at) {
  int64_t by = (int64_t)get_u64(&j->in);
  if (at.type != AM_COUNTER)
    fail(j, at.type == AM_VOID ? CORE_NOT_FOUND : CORE_NOT_COUNTER, 0);
  else if (last.is_index)
    taken(j, AMlistIncrement(j->doc, parent.obj, last.index, by));
  else
    taken(j, AMmapIncrement(j->doc, parent.obj, last.key, by));
}

/* within fails the job unless [pos, pos+n) lies within the sequence. */
static bool within(job *j, node at, uint64_t pos, uint64_t n) {
  uint64_t size = AMobjSize(j->doc, at.obj, NULL);
  if (pos <= size && n <= size - pos) return true;
  fail(j, CORE_RANGE, size);
  return false;
}

static void edit_sequence(job *j, uint8_t what, node at) {
  bool text = what == DO_SPLICE;
  if (!is_container(j, at, text ? AM_OBJ_TEXT : AM_OBJ_LIST, text ? CORE_NOT_TEXT : CORE_NOT_LIST)) return;
  uint64_t pos = get_u64(&j->in);
  if (what == DO_INSERT) {
    uint32_t n = get_u32(&j->in);
    if (!within(j, at, pos, 0)) return;
    for (uint32_t i = 0; i < n && ok(j); i++)
      put_value(j, (place){.obj = at.obj, .at = {.is_index = true, .index = pos + i}, .insert = true});
    return;
  }
  uint64_t n = get_u64(&j->in);
  if (!within(j, at, pos, n)) return;
  if (text) {
    splice(j, at.obj, pos, n, get_span(&j->in));
    return;
  }
  for (; n && ok(j); n--) taken(j, AMlistDelete(j->doc, at.obj, pos));
}

static void instruction(job *j) {
  held h = {0};
  uint8_t what = get_u8(&j->in);
  j->out->op = get_u32(&j->in);
  j->out->step = 0;
  uint32_t steps = get_u32(&j->in);
  node parent = root_node(), at = parent;
  step last = {0};
  if (what == DO_CREATE) {
    last = get_step(&j->in);
    create(j, &h, last, get_step(&j->in));
    release(&h);
    return;
  }
  for (uint32_t i = 0; i < steps && ok(j); i++) {
    uint64_t n = 0;
    last = get_step(&j->in);
    parent = at;
    j->out->step = i;
    int status = descend(j->doc, parent, last, NULL, &h, &at, &n);
    if (status != CORE_OK) fail(j, status, n);
  }
  if (ok(j)) {
    switch (what) {
    case DO_PUT:
      put_value(j, (place){.obj = parent.obj, .at = last});
      break;
    case DO_UPDATE:
      if (is_container(j, at, AM_OBJ_MAP, CORE_NOT_MAP)) put_fields(j, at);
      break;
    case DO_DELETE:
      delete(j, parent, last, at);
      break;
    case DO_INCREMENT:
      increment(j, parent, last, at);
      break;
    default:
      edit_sequence(j, what, at);
    }
  }
  release(&h);
}

/* commit ends the transaction and fetches the change that it has become. */
static void commit(core_doc *d, core_out *out, AMbyteSpan message, int64_t time) {
  AMresult *r = AMcommit(d->doc, message, &time);
  if (AMresultStatus(r) != 0) out->status = CORE_BROKEN;
  AMresultFree(r);
  if (out->status != CORE_OK) return;
  r = AMgetLastLocalChange(d->doc);
  AMitem *item = AMresultItem(r);
  AMchange *change = NULL;
  buffer b = {0};
  if (AMresultStatus(r) == 0 && item && AMitemToChange(item, &change)) {
    AMbyteSpan raw = AMchangeRawBytes(change);
    put_bytes(&b, raw.src, raw.count);
  }
  AMresultFree(r);
  if (b.failed || b.len == 0) out->status = CORE_BROKEN;
  finish(out, &b);
}

/* carry_out leaves the operations of a batch pending. */
static core_out carry_out(core_doc *d, const uint8_t *batch, size_t len) {
  core_out out = {0};
  job j = {.doc = d->doc, .in = {batch, batch + len}, .out = &out};
  while (j.in.p < j.in.end && ok(&j)) instruction(&j);
  if (ok(&j) && AMpendingOps(d->doc) == 0) out.status = CORE_NO_CHANGE;
  return out;
}

static void take_back(core_doc *d, core_out *out) {
  AMrollback(d->doc);
  if (AMpendingOps(d->doc) != 0) out->status = CORE_BROKEN;
}

core_out core_do(core_doc *d, const uint8_t *batch, size_t len, const uint8_t *message, size_t mlen, int64_t time) {
  core_out out = carry_out(d, batch, len);
  if (out.status == CORE_OK)
    commit(d, &out, (AMbyteSpan){message, mlen}, time);
  else
    take_back(d, &out);
  return out;
}

core_out core_try(core_doc *d, const uint8_t *batch, size_t len) {
  core_out out = carry_out(d, batch, len);
  take_back(d, &out);
  return out;
}
