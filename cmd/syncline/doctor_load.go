package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"syncline/crdt/id"
	"syncline/peer"
)

// loadVerb is the hidden verb of the process in which the doctor loads documents: over
// bytes that it does not like, the core ends the process that it is in. It reads
// documents from its input and answers each with a line, so that one process does for
// many.
const loadVerb = "load-documents"

func loadCommand() *cobra.Command {
	return &cobra.Command{
		Use: loadVerb, Hidden: true, Args: operands(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return failed(loadAll(bufio.NewReader(cmd.InOrStdin()), cmd.OutOrStdout()))
		},
	}
}

// loadAll loads document after document. Each is the id (16 bytes), the number of its
// heads and of its chunks (4 bytes each), the heads, and the chunks, each after its
// length (8 bytes).
func loadAll(in *bufio.Reader, out io.Writer) error {
	for {
		var doc id.Document
		if _, err := io.ReadFull(in, doc[:]); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		var n [2]uint32
		if err := binary.Read(in, binary.BigEndian, &n); err != nil {
			return err
		}
		var heads []id.Hash
		for range n[0] {
			var h id.Hash
			if _, err := io.ReadFull(in, h[:]); err != nil {
				return err
			}
			heads = append(heads, h)
		}
		var chunks [][]byte
		for range n[1] {
			var size uint64
			if err := binary.Read(in, binary.BigEndian, &size); err != nil {
				return err
			}
			var b strings.Builder // grows with what is there
			if _, err := io.CopyN(&b, in, int64(size)); err != nil {
				return err
			}
			chunks = append(chunks, []byte(b.String()))
		}
		answer := "ok"
		if err := peer.TryLoad(doc, heads, chunks); err != nil {
			answer = strconv.Quote(err.Error())
		}
		if _, err := fmt.Fprintln(out, answer); err != nil {
			return err
		}
	}
}

// loader is the other side: a process that is started when it is needed, and again
// when a document has ended it.
type loader struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
	say *strings.Builder // what it writes about its end
}

func (l *loader) start(ctx context.Context) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	l.cmd, l.say = exec.CommandContext(ctx, self, loadVerb), new(strings.Builder)
	l.cmd.Stderr = l.say
	in, err := l.cmd.StdinPipe()
	if err != nil {
		return err
	}
	out, err := l.cmd.StdoutPipe()
	if err == nil {
		err = l.cmd.Start()
	}
	if err != nil {
		l.cmd = nil
		return fmt.Errorf("start a process that loads documents: %w", err)
	}
	l.in, l.out = in, bufio.NewReader(out)
	return nil
}

// load has a document loaded. The error says why it cannot be.
func (l *loader) load(ctx context.Context, doc id.Document, heads []id.Hash, chunks [][]byte) error {
	if l.cmd == nil {
		if err := l.start(ctx); err != nil {
			return err
		}
	}
	w := bufio.NewWriter(l.in)
	w.Write(doc[:])
	binary.Write(w, binary.BigEndian, [2]uint32{uint32(len(heads)), uint32(len(chunks))})
	for _, h := range heads {
		w.Write(h[:])
	}
	for _, b := range chunks {
		binary.Write(w, binary.BigEndian, uint64(len(b)))
		w.Write(b)
	}
	err := w.Flush()
	var answer string
	if err == nil {
		answer, err = l.out.ReadString('\n')
	}
	if err != nil {
		end := l.close()
		first, _, _ := strings.Cut(strings.TrimSpace(l.say.String()), "\n")
		return fmt.Errorf("the core ends the process over it (%v): %.200s", end, first)
	}
	if answer = strings.TrimSpace(answer); answer == "ok" {
		return nil
	}
	why, err := strconv.Unquote(answer)
	return errors.Join(errors.New(why), err)
}

// close ends the process.
func (l *loader) close() error {
	if l.cmd == nil {
		return nil
	}
	l.in.Close()
	io.Copy(io.Discard, l.out)
	err := l.cmd.Wait()
	l.cmd = nil
	return err
}
