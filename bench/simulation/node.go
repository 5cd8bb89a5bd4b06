package simulation

import (
	"fmt"
	"runtime/debug"
	"slices"
	"time"

	"syncline/bench/simulation/memory"
)

// node is a machine: a peer's or a relay's. It is there before and after the process
// that runs on it.
type node struct {
	w    *world
	name string
	disk disk
	gate *gate // the store of the running process; nil if none runs
	ends []*end

	life    int  // counts the processes
	up      bool // one runs
	wanted  bool // one is to run
	refuses bool // the disk does
	tainted bool // its disk was put back to an earlier state
	stored  truth
	before  *memory.Disk // for bugs that lose what was stored

	step   func() bool  // of the process
	boot   func() error // starts a process
	halt   func()       // gives back what the process has
	turned func()       // called when the process has done something
	ready  bool         // an event for step is on its way
}

// crash is what a process panics with that dies in the middle of something.
type crash struct{ n *node }

// do has the process do something. If it dies, it is taken away.
func (n *node) do(fn func()) {
	life := n.life
	defer func() {
		switch r := recover().(type) {
		case nil:
			if n.up && n.life == life && n.turned != nil {
				n.turned()
			}
		case crash:
			n.w.note("%s dies", r.n.name)
			r.n.kill()
		default:
			n.w.fail("%s panics: %v\n%s", n.name, r, debug.Stack())
		}
	}()
	fn()
}

// prompt has the process do what waits for it, a little later.
func (n *node) prompt() {
	if n.ready {
		return
	}
	n.ready = true
	life := n.life
	n.w.in(time.Duration(n.w.rng.IntN(4))*time.Millisecond, func() {
		if n.life != life {
			return
		}
		n.ready = false
		more := false
		n.do(func() { more = n.step() })
		if more && n.life == life {
			n.prompt()
		}
	})
}

// start starts a process, or tries again in a second.
func (n *node) start() {
	n.wanted = true
	if n.up {
		return
	}
	n.life++
	life := n.life
	n.up, n.ready = true, false
	n.w.note("%s starts", n.name)
	var err error
	n.do(func() { err = n.boot() })
	if err != nil && n.life == life {
		n.w.note("%s does not start: %v", n.name, err)
		n.kill()
		n.startIn(time.Second)
	}
}

func (n *node) startIn(d time.Duration) {
	n.wanted = true
	n.w.in(d, func() {
		if n.wanted && !n.up {
			n.start()
		}
	})
}

// kill ends the process, as a signal that cannot be caught does. It is started again
// after a while.
func (n *node) kill() {
	if !n.up {
		return
	}
	n.up = false
	n.life++
	for _, e := range slices.Clone(n.ends) {
		e.drop()
		// The other end's system is told that nobody is there, or finds out later.
		other, after := e.other, time.Duration(n.w.rng.IntN(2000))*time.Millisecond
		e.c.cut = true
		n.w.in(after, func() { other.lost(fmt.Errorf("%s has gone", n.name)) })
	}
	n.ends = nil
	if n.gate != nil {
		n.gate.close()
		n.gate = nil
	}
	if hook := n.w.bug.Died; hook != nil {
		hook(n.w, n)
	}
	n.halt()
	n.w.crashes++
	n.startIn(time.Duration(50+n.w.rng.IntN(3000)) * time.Millisecond)
}

func (n *node) forget(e *end) {
	n.ends = slices.DeleteFunc(n.ends, func(o *end) bool { return o == e })
}
