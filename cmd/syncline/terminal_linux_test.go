package main

import (
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"unicode/utf8"
	"unsafe"
)

// onTerminal runs a command whose outputs are a terminal of so many columns, and
// returns what that was sent.
func onTerminal(t *testing.T, columns uint16, args ...string) (code int, screen string) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skip(err)
	}
	defer master.Close()
	control := func(request uintptr, arg unsafe.Pointer) {
		if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, master.Fd(), request, uintptr(arg)); errno != 0 {
			t.Skip(errno)
		}
	}
	var unlock, number int32
	control(syscall.TIOCSPTLCK, unsafe.Pointer(&unlock))
	control(syscall.TIOCGPTN, unsafe.Pointer(&number))
	size := [4]uint16{24, columns}
	control(syscall.TIOCSWINSZ, unsafe.Pointer(&size))
	slave, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Skip(err)
	}
	read := make(chan []byte, 1)
	go func() {
		b, _ := io.ReadAll(master) // ends with an error when the slave is closed
		read <- b
	}()
	code = run(t.Context(), args, slave, slave)
	slave.Close()
	return code, strings.ReplaceAll(string(<-read), "\r\n", "\n")
}

func TestOnATerminalListsHaveColumnsThatFit(t *testing.T) {
	db, doc := newStore(t)
	hash := op(t, db, doc, "create", "items", strings.Repeat("long ", 30), `{"text":"`+strings.Repeat("x", 2000)+`"}`)
	for _, tt := range []struct {
		args []string
		want []string
	}{
		{[]string{"list"}, []string{"DOCUMENT", "CHANGES", doc, "kB"}},
		{[]string{"log", doc}, []string{"HASH", "INTENT", hash[:8] + " ", "create items/long", "…"}},
	} {
		code, screen := onTerminal(t, 80, append([]string{"doc", "--db", db}, tt.args...)...)
		if code != 0 {
			t.Errorf("exit code %d", code)
		}
		for _, want := range tt.want {
			if !strings.Contains(screen, want) {
				t.Errorf("no %q in\n%s", want, screen)
			}
		}
		for l := range strings.SplitSeq(screen, "\n") {
			if utf8.RuneCountInString(l) > 80 {
				t.Errorf("wider than the terminal: %s", l)
			}
		}
		if strings.ContainsAny(screen, "\t\x1b") {
			t.Errorf("tabs or escapes in %q", screen)
		}
	}
	if code, screen := onTerminal(t, 80, "doc", "export", "--db", db, doc); code != 2 || !strings.Contains(screen, "name a file") {
		t.Errorf("exit code %d: %s", code, screen)
	}
}

func TestOnATerminalSyncShowsProgressAndTakesItAway(t *testing.T) {
	db, doc := newStore(t)
	op(t, db, doc, "create", "items", "milk", "{}")
	_, url := startRelay(t, t.TempDir(), "127.0.0.1:0")
	code, screen := onTerminal(t, 80, "sync", "--db", db, "--to", url, "--once")
	if code != 0 {
		t.Errorf("exit code %d", code)
	}
	progress, summary, cleared := strings.Cut(screen, "\r\x1b[K")
	if !cleared || !strings.HasPrefix(progress, "\r") || !strings.Contains(progress, "1 of 1 documents") {
		t.Errorf("progress %q", progress)
	}
	if !strings.HasPrefix(summary, "DOCUMENT ") || !regexp.MustCompile(doc+" +synced +1 +1 ").MatchString(summary) {
		t.Errorf("summary\n%s", summary)
	}
	if out := done(t, "sync", "--db", db, "--to", url, "--once"); strings.ContainsAny(out, "\r\x1b") {
		t.Errorf("progress without a terminal: %q", out)
	}
}
