package main

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/pflag"
)

func TestAPeerThatOthersReachWantsToKnowWhoMayDoWhat(t *testing.T) {
	_, keys := newKey(t)
	everywhere := []string{"peer", "--db", filepath.Join(t.TempDir(), "a.db"), "--listen", ":0"}
	refused(t, 1, []string{"others can reach", "--access-keys", "--audience", "--listen-token", "127.0.0.1", "--open-access"}, append(everywhere, "--log-level", "error")...)
	for _, tt := range []struct {
		flags []string
		says  string
	}{
		{[]string{"--open-access"}, `level=WARN .*everybody who reaches this address may read and write`},
		{[]string{"--access-keys", keys, "--audience", "app"}, `url=ws://\S+ access=true`},
		{[]string{"--listen-token", "secret"}, `url=ws://\S+ access=true`},
	} {
		v := start(t, append(everywhere, tt.flags...)...)
		v.await(tt.says)
		if code := v.stop(); code != 0 {
			t.Errorf("%v: exit code %d", tt.flags, code)
		}
	}
}

func TestPeerAccessFlagsThatDoNotGoTogether(t *testing.T) {
	_, keys := newKey(t)
	here := []string{"peer", "--db", filepath.Join(t.TempDir(), "a.db"), "--listen", "127.0.0.1:0", "--log-level", "error"}
	for _, tt := range []struct {
		code        int
		words, args []string
	}{
		{1, []string{"--audience", "--access-keys"}, []string{"--audience", "app"}},
		{1, []string{"audience"}, []string{"--access-keys", keys}},
		{1, []string{"--open-access", "--access-keys", "contradict"}, []string{"--access-keys", keys, "--audience", "app", "--open-access"}},
		{2, []string{"--open-access", "--listen-token", "contradict"}, []string{"--listen-token", "t", "--open-access"}},
		{2, []string{"https://app.example"}, []string{"--origin", "app.example"}},
	} {
		refused(t, tt.code, tt.words, append(here, tt.args...)...)
	}
}

func TestPeerFlagsSayTheirVariables(t *testing.T) {
	peerCommand().LocalFlags().VisitAll(func(f *pflag.Flag) {
		if f.Name != "help" && !strings.Contains(f.Usage, environmentName(f.Name)) {
			t.Errorf("--%s does not name %s: %s", f.Name, environmentName(f.Name), f.Usage)
		}
	})
}

// TestAPeerGrantsWhatTokensSay: one document may be read, and another is not there.
func TestAPeerGrantsWhatTokensSay(t *testing.T) {
	private, keys := newKey(t)
	dir := t.TempDir()
	a, b := filepath.Join(dir, "a.db"), filepath.Join(dir, "b.db")
	shown, hidden := done(t, "doc", "new", "--db", a), done(t, "doc", "new", "--db", a)
	op(t, a, shown, "create", "items", "milk", `{}`)
	op(t, a, hidden, "create", "items", "gold", `{}`)
	v := start(t, "peer", "--db", a, "--listen", "127.0.0.1:0", "--access-keys", keys, "--audience", "app")
	url := v.await(`msg="peer is listening" url=(\S+)`)[1]
	v.drain()
	token := done(t, "token", "mint", "--key", private, "--sub", "ben", "--aud", "app", "--doc", shown+":read")
	once := []string{"sync", "--db", b, "--to", url, "--once", "--token", token}
	done(t, append(once, "--doc", shown)...)
	sameHeads(t, shown, a, b)
	refused(t, 1, []string{url, "no access token was sent"}, once[:len(once)-2]...)
	refused(t, 1, []string{hidden, "neither this file nor the relay has it"}, append(once, "--doc", hidden)...)
	op(t, b, shown, "create", "items", "bread", `{}`)
	refused(t, 1, []string{shown, "lets us read the document and not change it"}, append(once, "--doc", shown)...)
}
