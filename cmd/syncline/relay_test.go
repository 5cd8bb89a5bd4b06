package main

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"syncline/relay/operate"
)

func TestARelayThatOthersReachWantsToKnowWhoMayDoWhat(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	_, keys := newKey(t)
	everywhere := []string{"relay", "--data", data, "--listen", ":0"}
	refused(t, 1, []string{"others can reach", "--access-keys", "--audience", "127.0.0.1", "--open-access"}, append(everywhere, "--log-level", "error")...)
	if _, err := os.Stat(data); !os.IsNotExist(err) {
		t.Errorf("what was refused has left something behind: %v", err)
	}

	// With the flag it does, and warns.
	v := start(t, append(everywhere, "--open-access")...)
	v.await(`level=WARN .*everybody who reaches this address may read and write`)
	v.await(`url=ws://`)
	if code := v.stop(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	// With keys it does, and says that it has them.
	v = start(t, append(everywhere, "--access-keys", keys, "--audience", "app")...)
	v.await(`url=ws://\S+ .*access=true`)
	if code := v.stop(); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

func TestAccessFlagsThatDoNotGoTogether(t *testing.T) {
	data := t.TempDir()
	_, keys := newKey(t)
	relay := func(args ...string) []string {
		return append([]string{"relay", "--data", data, "--listen", "127.0.0.1:0", "--log-level", "error"}, args...)
	}
	none := filepath.Join(data, "none.jwks")
	empty := filepath.Join(data, "empty.jwks")
	if err := os.WriteFile(empty, []byte(`{"keys":[]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		code  int
		words []string
		args  []string
	}{
		{1, []string{"--audience", "--access-keys"}, relay("--audience", "app")},
		{1, []string{"--issuer", "--access-keys"}, relay("--issuer", "https://issuer.example")},
		{1, []string{"audience"}, relay("--access-keys", keys)},
		{1, []string{"--open-access", "--access-keys", "contradict"}, relay("--access-keys", keys, "--audience", "app", "--open-access")},
		{1, []string{none, "no such file"}, relay("--access-keys", none, "--audience", "app")},
		{1, []string{empty, "no key"}, relay("--access-keys", empty, "--audience", "app")},
		{1, []string{"https"}, relay("--access-keys", "http://issuer.example/keys", "--audience", "app")},
		{2, []string{"app.example", "https://app.example"}, relay("--origin", "app.example")},
	} {
		refused(t, tt.code, tt.words, tt.args...)
	}
}

// TestRelayFlagsSayTheirVariables, and take what those say.
func TestRelayFlagsSayTheirVariables(t *testing.T) {
	cmd := relayCommand()
	cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
		if f.Name != "help" && !strings.Contains(f.Usage, environmentName(f.Name)) {
			t.Errorf("--%s does not name %s: %s", f.Name, environmentName(f.Name), f.Usage)
		}
	})
	env := map[string]string{
		"SYNCLINE_ORIGIN": "https://a.example,https://b.example", "SYNCLINE_OPEN_ACCESS": "true", "SYNCLINE_MAX_FRAME": "1234",
		"SYNCLINE_HANDSHAKE_TIMEOUT": "7s", "SYNCLINE_COMPACTION_SHARE": "-1", "SYNCLINE_MAX_PER_ADDRESS": "-1",
	}
	if err := setFromEnvironment(cmd, func(name string) (string, bool) { v, ok := env[name]; return v, ok }); err != nil {
		t.Fatal(err)
	}
	for flag, want := range map[string]string{
		"origin": "[https://a.example,https://b.example]", "open-access": "true", "max-frame": "1234", "handshake-timeout": "7s",
		"compaction-share": "-1", "max-per-address": "-1",
	} {
		if got := cmd.Flag(flag).Value.String(); got != want {
			t.Errorf("--%s is %q, want %q", flag, got, want)
		}
	}
	env = map[string]string{"SYNCLINE_MAX_FRAME": "much"}
	if err := setFromEnvironment(relayCommand(), func(name string) (string, bool) { v, ok := env[name]; return v, ok }); err == nil ||
		!strings.Contains(err.Error(), "SYNCLINE_MAX_FRAME") || !strings.Contains(err.Error(), "--max-frame") {
		t.Errorf("have %v", err)
	}
}

func TestRelayCheckAsksWhetherItIsReady(t *testing.T) {
	v, url := startRelay(t, t.TempDir(), ownAddress())
	at := "http" + strings.TrimPrefix(url, "ws")
	if got := done(t, "relay", "check", "--at", at); got != "ready" {
		t.Errorf("printed %q", got)
	}
	res, err := http.Get(at + operate.StatusPath)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	http.DefaultClient.CloseIdleConnections()
	if res.StatusCode != 200 {
		t.Errorf("the status page: %s", res.Status)
	}
	if code := v.stop(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	refused(t, 1, []string{strings.TrimPrefix(at, "http://")}, "relay", "check", "--at", at)
	refused(t, 2, []string{"no URL of a relay"}, "relay", "check", "--at", "127.0.0.1:3030")
}
