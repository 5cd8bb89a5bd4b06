package soak

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"syncline/bench/light"
	"syncline/bench/rig"
	"syncline/crdt/id"
	"syncline/storage"
)

// A disk that fills up makes the relay read-only until there is room, by its low-water
// mark or because a write fails. Nothing that it acknowledged is lost, killed or not.
func TestAFullDisk(t *testing.T) {
	beside(t)
	for _, form := range []struct {
		name     string
		lowWater int64 // below 0: none
		leave    int64 // bytes of the disk that are left
	}{
		{"below the mark", 4 << 20, 2 << 20},
		{"nothing left", -1, 0},
	} {
		t.Run(strings.ReplaceAll(form.name, " ", "-"), func(t *testing.T) {
			beside(t)
			disk := mount(t, "size=16m")
			ctx, doc := rig.Bounded(t), id.NewDocument()
			r := startRelay(t, filepath.Join(disk.dir, "data"), "--disk-low-water", fmt.Sprint(form.lowWater))
			writer := newReplica(doc, 1)
			write := func(size int) error {
				last := rig.Get(writer.Record(size, 1))(t)
				ctx, leave, err := connected(ctx, r.URL, light.ConnOptions{}, writer, true)
				if err != nil {
					return err
				}
				defer leave()
				return writer.acked(ctx, last)
			}
			complete := func(when string) {
				t.Helper()
				acked := writer.Own(writer.Acked())
				fresh := newReplica(doc, 2)
				ctx, leave, err := connected(ctx, r.URL, light.ConnOptions{}, fresh, false)
				rig.OK(t, err)
				defer leave()
				if err := fresh.has(ctx, acked); err != nil {
					t.Errorf("%s: acknowledged and not there: %v", when, err)
				}
				t.Logf("%s: %d changes were acknowledged and are there", when, len(acked))
			}
			refused := func() {
				t.Helper()
				// What is small may find room in the pages that are there.
				var err error
				for err == nil {
					err = write(100 << 10)
				}
				if !strings.Contains(err.Error(), "disk") {
					t.Errorf("nobody would know from this that the disk is full: %v", err)
				}
				t.Logf("a writer is told: %v", err)
			}
			rig.OK(t, write(1000))
			complete("before")

			rig.OK(t, disk.fill(form.leave))
			if form.lowWater > 0 {
				rig.OK(t, r.ready(ctx, http.StatusServiceUnavailable))
			}
			refused()
			complete("on the full disk")
			if form.leave > 0 {
				r = r.crash()
				rig.OK(t, r.ready(ctx, http.StatusServiceUnavailable))
				refused()
				complete("killed and started on the full disk")
			}
			rig.OK(t, disk.free())
			rig.OK(t, r.ready(ctx, http.StatusOK))
			rig.OK(t, write(1000)) // and what was refused
			complete("with room again")

			rig.OK(t, disk.fill(form.leave))
			if form.lowWater > 0 {
				rig.OK(t, r.ready(ctx, http.StatusServiceUnavailable))
			}
			refused()
			r.kill()
			rig.OK(t, disk.free())
			r = r.again()
			complete("killed on the full disk")
			rig.OK(t, write(1000))
			complete("at the end")
		})
	}
}

// smallDisk is a file system of a test's own.
type smallDisk struct{ dir, ballast string }

func mount(t *testing.T, options string) smallDisk {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, options); err != nil {
		t.Skipf("a small file system cannot be mounted here: %v", err)
	}
	t.Cleanup(func() { syscall.Unmount(dir, syscall.MNT_DETACH) })
	return smallDisk{dir, filepath.Join(dir, "ballast")}
}

// fill leaves so many bytes of it.
func (d smallDisk) fill(leave int64) error {
	free, _, err := storage.DiskFree(d.dir)
	if err != nil {
		return err
	}
	f, err := os.Create(d.ballast)
	if err != nil {
		return err
	}
	defer f.Close()
	if leave > 0 {
		_, err = io.CopyN(f, endless{}, int64(free)-leave)
		return err
	}
	if _, err = io.Copy(f, endless{}); errors.Is(err, syscall.ENOSPC) {
		return nil
	}
	return fmt.Errorf("the disk has no end: %w", err)
}

// free takes away what fill has put there.
func (d smallDisk) free() error { return os.Remove(d.ballast) }

// endless is a file of zeros.
type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

// ready waits until /readyz answers so.
func (r *relayProcess) ready(ctx context.Context, status int) error {
	return eventually(ctx, fmt.Sprintf("/readyz answers %d", status), func() (bool, error) {
		resp, err := r.get(ctx, "/readyz")
		if err != nil {
			return false, err
		}
		resp.Body.Close()
		return resp.StatusCode == status, nil
	})
}
