package crdt

// #cgo CFLAGS: -std=c11 -O2 -Wall
// #include "core.h"
import "C"

import (
	"fmt"
	"unsafe"

	// Its static library is the core. Nothing else of it is used: its objects
	// are freed by finalizers, and each of its calls does one small thing.
	_ "github.com/automerge/automerge-go"

	"syncline/crdt/id"
)

// status is how a call of the core went; see core.h.
type status int32

const (
	statusOK          status = C.CORE_OK
	statusNoMemory    status = C.CORE_NO_MEMORY
	statusNotFound    status = C.CORE_NOT_FOUND
	statusExists      status = C.CORE_EXISTS
	statusNotMap      status = C.CORE_NOT_MAP
	statusNotList     status = C.CORE_NOT_LIST
	statusNotText     status = C.CORE_NOT_TEXT
	statusNotCounter  status = C.CORE_NOT_COUNTER
	statusRange       status = C.CORE_RANGE
	statusNoChange    status = C.CORE_NO_CHANGE
	statusUnknownHead status = C.CORE_UNKNOWN_HEAD
	statusDeep        status = C.CORE_DEEP
	statusBroken      status = C.CORE_BROKEN
)

// outcome is what a call of the core has to say. Its data is memory of C.
type outcome struct {
	status status
	op     int
	step   int
	n      uint64
	maxOp  uint64
	data   []byte
	free   func()
}

// core is a document of the C core.
type core struct{ doc *C.core_doc }

func newCore(actor id.Actor) (*core, error) {
	if missing := C.core_missing(); missing != nil {
		return nil, fmt.Errorf("the linked core has no function %s: build with the automerge-go of go.mod", C.GoString(missing))
	}
	raw := []byte(actor)
	doc := C.core_new(bytesOf(raw), C.size_t(len(raw)))
	if doc == nil {
		return nil, fmt.Errorf("the core refuses actor %s", actor)
	}
	return &core{doc}, nil
}

// close frees the document's memory.
func (c *core) close() { C.core_free(c.doc) }

func (c *core) apply(chunks []byte, tips []id.Hash) outcome {
	return outcomeOf(C.core_apply(c.doc, bytesOf(chunks), C.size_t(len(chunks)), hashesOf(tips), C.size_t(len(tips))))
}

func (c *core) do(batch []byte, message string, time int64) outcome {
	m := []byte(message)
	return outcomeOf(C.core_do(c.doc, bytesOf(batch), C.size_t(len(batch)), bytesOf(m), C.size_t(len(m)), C.int64_t(time)))
}

// try carries a batch out and takes it back.
func (c *core) try(batch []byte) outcome {
	return outcomeOf(C.core_try(c.doc, bytesOf(batch), C.size_t(len(batch))))
}

func (c *core) read(path []byte, heads []id.Hash) outcome {
	return outcomeOf(C.core_read(c.doc, bytesOf(path), hashesOf(heads), C.size_t(len(heads))))
}

func (c *core) conflicts(path []byte, heads []id.Hash) outcome {
	return outcomeOf(C.core_conflicts(c.doc, bytesOf(path), hashesOf(heads), C.size_t(len(heads))))
}

func (c *core) keys(path []byte, heads []id.Hash) outcome {
	return outcomeOf(C.core_keys(c.doc, bytesOf(path), hashesOf(heads), C.size_t(len(heads))))
}

const (
	selectAll = C.SELECT_ALL
	selectIDs = C.SELECT_IDS
)

// choose reads entities; see core_select.
func (c *core) choose(places []byte, heads []id.Hash, enough int) outcome {
	return outcomeOf(C.core_select(c.doc, bytesOf(places), C.size_t(len(places)), hashesOf(heads), C.size_t(len(heads)), C.size_t(enough)))
}

// fork copies the document as it was. The copy is closed like any other.
func (c *core) fork(heads []id.Hash) (*core, outcome) {
	var copied *C.core_doc
	out := outcomeOf(C.core_fork(c.doc, hashesOf(heads), C.size_t(len(heads)), &copied))
	return &core{copied}, out
}

func (c *core) changes(heads []id.Hash) outcome {
	return outcomeOf(C.core_changes(c.doc, hashesOf(heads), C.size_t(len(heads))))
}

func (c *core) knows(hashes []id.Hash) bool {
	return C.core_knows(c.doc, hashesOf(hashes), C.size_t(len(hashes))).n == 1
}

func (c *core) save() outcome { return outcomeOf(C.core_save(c.doc)) }

// trim gives memory that the core has freed back to the system. It walks the
// whole heap of C.
func trim() { C.core_trim() }

func outcomeOf(o C.core_out) outcome {
	return outcome{
		status: status(o.status), op: int(o.op), step: int(o.step), n: uint64(o.n), maxOp: uint64(o.max_op),
		data: unsafe.Slice((*byte)(unsafe.Pointer(o.data)), int(o.len)),
		free: func() { C.free(unsafe.Pointer(o.data)) },
	}
}

// hashes reads the hashes that the data consists of.
func (o outcome) hashes() []id.Hash {
	hs := make([]id.Hash, len(o.data)/len(id.Hash{}))
	for i := range hs {
		hs[i] = id.Hash(o.data[i*len(hs[i]):])
	}
	id.SortHashes(hs)
	return hs
}

// bytesOf points to the bytes. The core wants no NULL, even for none.
func bytesOf(b []byte) *C.uint8_t {
	if len(b) == 0 {
		return (*C.uint8_t)(unsafe.Pointer(new(byte)))
	}
	return (*C.uint8_t)(unsafe.Pointer(unsafe.SliceData(b)))
}

func hashesOf(hs []id.Hash) *C.uint8_t {
	if len(hs) == 0 {
		return bytesOf(nil)
	}
	return (*C.uint8_t)(unsafe.Pointer(unsafe.SliceData(hs)))
}
