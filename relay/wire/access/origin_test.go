package access

import (
	"errors"
	"net"
	"net/http"
	"strings"
	"testing"
)

func TestOriginsThatMayConnect(t *testing.T) {
	listed := []string{"https://app.example", "HTTP://Dev.Example:80", "tauri://localhost", "https://[2001:db8::1]:8443"}
	tests := []struct {
		name    string
		allowed []string
		origin  []string
		ok      bool
	}{
		{"no page", nil, nil, true},
		{"no page, though a list", listed, nil, true},
		{"localhost", nil, []string{"http://localhost:5173"}, true},
		{"localhost by TLS", nil, []string{"https://localhost"}, true},
		{"127.0.0.1", nil, []string{"http://127.0.0.1:3030"}, true},
		{"another of 127.0.0.0/8", nil, []string{"http://127.8.9.1"}, true},
		{"::1", nil, []string{"http://[::1]:3030"}, true},
		{"127.0.0.1 in six", nil, []string{"http://[::ffff:127.0.0.1]"}, true},
		{"elsewhere", nil, []string{"https://app.example"}, false},
		{"a name that begins like this machine", nil, []string{"http://localhost.evil.example"}, false},
		{"a name that ends like it", nil, []string{"http://evil-localhost"}, false},
		{"an address that begins like it", nil, []string{"http://127.0.0.1.evil.example"}, false},
		{"another scheme on this machine", nil, []string{"tauri://localhost"}, false},
		{"every address", nil, []string{"http://0.0.0.0:3030"}, false},
		{"a private address", nil, []string{"http://192.168.1.2"}, false},
		{"with a path", nil, []string{"http://localhost/"}, false},
		{"with a user", nil, []string{"http://evil@localhost"}, false},
		{"null", nil, []string{"null"}, false},
		{"empty", nil, []string{""}, false},
		{"garbage", nil, []string{"%%"}, false},
		{"no host", nil, []string{"http://"}, false},
		{"several", nil, []string{"http://localhost", "http://localhost"}, false},
		{"listed", listed, []string{"https://app.example"}, true},
		{"listed, with its port", listed, []string{"https://app.example:443"}, true},
		{"listed, without its port", listed, []string{"http://dev.example"}, true},
		{"listed, a scheme of an app", listed, []string{"tauri://localhost"}, true},
		{"listed, an address in six", listed, []string{"https://[2001:db8::1]:8443"}, true},
		{"listed, by another scheme", listed, []string{"http://app.example"}, false},
		{"listed, on another port", listed, []string{"https://app.example:8443"}, false},
		{"below one listed", listed, []string{"https://x.app.example"}, false},
		{"this machine, not listed", listed, []string{"http://localhost:5173"}, false},
		{"all", []string{"*"}, []string{"https://any.example"}, true},
		{"all, but null", []string{"*"}, []string{"null"}, false},
		{"all, but garbage", []string{"*"}, []string{"x"}, false},
		{"null, listed", []string{"null", "*"}, []string{"null"}, true},
		{"null, listed alone", []string{"null"}, []string{"http://localhost"}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o, err := NewOrigins(tt.allowed)
			if err != nil {
				t.Fatal(err)
			}
			r := &http.Request{Header: http.Header{}}
			if tt.origin != nil {
				r.Header["Origin"] = tt.origin
			}
			err = o.Check(r)
			if (err == nil) != tt.ok || err != nil && !errors.Is(err, ErrForbidden) {
				t.Errorf("%v, want it let in: %v", err, tt.ok)
			}
		})
	}
}

func TestOriginsThatCannotBeListed(t *testing.T) {
	for _, bad := range []string{"", "app.example", "https://app.example/", "https://app.example/x", "https://u@app.example", "https://*.example/", "//app.example", "https://", "https://a b"} {
		if _, err := NewOrigins([]string{"https://ok.example", bad}); err == nil || !strings.Contains(err.Error(), "https://app.example") {
			t.Errorf("%q: %v, want an error that shows how to write it", bad, err)
		}
	}
}

func TestAddressesOfThisMachine(t *testing.T) {
	for addr, want := range map[net.Addr]bool{
		&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1}:   true,
		&net.TCPAddr{IP: net.IPv4(127, 3, 2, 1), Port: 1}:   true,
		&net.TCPAddr{IP: net.IPv6loopback, Port: 1}:         true,
		&net.TCPAddr{IP: net.IPv4zero, Port: 1}:             false,
		&net.TCPAddr{IP: net.IPv6unspecified, Port: 1}:      false,
		&net.TCPAddr{Port: 1}:                               false,
		&net.TCPAddr{IP: net.IPv4(192, 168, 1, 1), Port: 1}: false,
		&net.UnixAddr{Name: "/run/syncline.sock"}:           true,
		&net.IPAddr{IP: net.IPv6loopback}:                   false,
	} {
		if got := Loopback(addr); got != want {
			t.Errorf("%v: %v, want %v", addr, got, want)
		}
	}
}
