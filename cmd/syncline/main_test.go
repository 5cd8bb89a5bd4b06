package main

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == loadVerb { // started by the doctor of a test
		main()
	}
	goleak.VerifyTestMain(m)
}

// cli runs a command to its end.
func cli(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = run(t.Context(), args, &out, &errs)
	return code, out.String(), errs.String()
}

func TestErrorsAreOneLineThatSaysWhatToDo(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	dir := t.TempDir()
	file := filepath.Join(dir, "a file")
	foreign := filepath.Join(dir, "foreign")
	for path, content := range map[string]string{file: "", filepath.Join(foreign, relayFile): "SQLite format 3 it is not"} {
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(strings.Repeat(content, 100)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	tests := []struct {
		name string
		args []string
		code int
		want []string
	}{
		{"port in use", []string{"relay", "--data", dir, "--listen", taken.Addr().String()}, 1, []string{taken.Addr().String(), "another program", "--listen"}},
		{"not an address", []string{"relay", "--data", dir, "--listen", "here"}, 1, []string{`"here"`, "127.0.0.1:3030"}},
		{"an address of another machine", []string{"relay", "--data", dir, "--listen", "192.0.2.1:3030"}, 1, []string{"192.0.2.1", "--listen"}},
		{"the data directory is a file", []string{"relay", "--listen", "127.0.0.1:0", "--data", file}, 1, []string{file, "not a directory", "--data"}},
		{"not a Syncline file", []string{"relay", "--listen", "127.0.0.1:0", "--data", foreign}, 1, []string{relayFile, "another program"}},
		{"an unknown verb", []string{"rely"}, 2, []string{"rely"}},
		{"an unknown flag", []string{"relay", "--port", "1"}, 2, []string{"--port"}},
		{"an unknown log level", []string{"relay", "--log-level", "loud"}, 2, []string{"loud", "debug"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			code, _, stderr := cli(t, append(tt.args, quiet(tt.args)...)...)
			if code != tt.code {
				t.Errorf("exit code %d, want %d", code, tt.code)
			}
			if strings.Count(stderr, "\n") != 1 || !strings.HasPrefix(stderr, "syncline: ") {
				t.Errorf("not one line:\n%s", stderr)
			}
			for _, want := range tt.want {
				if !strings.Contains(stderr, want) {
					t.Errorf("no %q in: %s", want, stderr)
				}
			}
		})
	}
}

// quiet keeps the log out of what is looked at.
func quiet(args []string) []string {
	if args[0] == "relay" && !strings.Contains(strings.Join(args, " "), "--log-level") {
		return []string{"--log-level", "error"}
	}
	return nil
}

func TestRelayServesUntilItIsInterrupted(t *testing.T) {
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	logs, w := io.Pipe()
	done := make(chan int, 1)
	data := filepath.Join(t.TempDir(), "made", "when needed")
	go func() {
		done <- run(ctx, []string{"relay", "--listen", "127.0.0.1:0", "--data", data}, io.Discard, w)
		w.Close()
	}()
	url := ""
	lines := bufio.NewScanner(logs)
	for url == "" && lines.Scan() {
		if m := regexp.MustCompile(`url=ws(://\S+)`).FindStringSubmatch(lines.Text()); m != nil {
			url = "http" + m[1]
		}
	}
	go io.Copy(io.Discard, logs)
	res, err := http.Get(url + "/healthz")
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	http.DefaultClient.CloseIdleConnections()
	interrupt()
	if code := <-done; code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
	if _, err := os.Stat(filepath.Join(data, relayFile)); err != nil {
		t.Error(err)
	}
}

func TestFlagsHaveVariables(t *testing.T) {
	env := map[string]string{"SYNCLINE_DATA": "from the environment", "SYNCLINE_LISTEN": "127.0.0.1:1", "SYNCLINE_LOG_LEVEL": "debug"}
	lookup := func(name string) (string, bool) { v, ok := env[name]; return v, ok }
	root := rootCommand()
	var relay *cobra.Command
	for _, c := range root.Commands() {
		if c.Name() == "relay" {
			relay = c
		}
	}
	relay.RunE = func(cmd *cobra.Command, _ []string) error {
		for flag, want := range map[string]string{"data": "from the environment", "listen": "127.0.0.1:9", "log-level": "debug"} {
			if got := cmd.Flag(flag).Value.String(); got != want {
				t.Errorf("--%s is %q, want %q", flag, got, want)
			}
		}
		return nil
	}
	root.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error { return setFromEnvironment(cmd, lookup) }
	root.SetArgs([]string{"relay", "--listen", "127.0.0.1:9"})
	if err := root.ExecuteContext(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestVersion(t *testing.T) {
	if code, out, _ := cli(t, "version"); code != 0 || !strings.HasPrefix(out, "syncline ") {
		t.Errorf("exit code %d, %q", code, out)
	}
}
