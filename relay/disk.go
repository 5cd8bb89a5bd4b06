package relay

import (
	"errors"
	"fmt"
	"path/filepath"
	"sync/atomic"

	"syncline/relay/wire"
	"syncline/relay/wire/socket"
	"syncline/storage"
)

// disk watches the room that the store has. Below the low-water mark nothing is
// stored: what is there can still be read, compacted and backed up.
type disk struct {
	dir      string
	lowWater int64

	free, total atomic.Int64 // as they were last seen; -1 if they cannot be
	readOnly    atomic.Bool
}

func (d *disk) init(o Options) {
	d.dir, d.lowWater = filepath.Dir(o.Store.Path()), o.DiskLowWater
	d.look()
}

// look sees how much room there is. Where that cannot be seen, only a write that
// fails tells.
func (d *disk) look() {
	free, total, err := storage.DiskFree(d.dir)
	if err != nil {
		d.free.Store(-1)
		d.readOnly.Store(false)
		return
	}
	d.free.Store(int64(free))
	d.total.Store(int64(total))
	d.readOnly.Store(int64(free) < d.lowWater)
}

// failed notes that the store could not write. The next look says whether it can.
func (d *disk) failed(err error) {
	if errors.Is(err, storage.ErrFull) {
		d.readOnly.Store(true)
	}
}

// full says why nothing is stored now.
func (d *disk) full() error {
	if !d.readOnly.Load() {
		return nil
	}
	why := "the relay's disk is full"
	if free := d.free.Load(); free >= 0 && free < d.lowWater {
		why = fmt.Sprintf("the relay's disk has %d MiB left, and it stores nothing below %d", free>>20, d.lowWater>>20)
	}
	return socket.WithCode(wire.CloseReadOnly, fmt.Errorf("%s: what you have stays with you, and is taken when there is room again", why))
}
