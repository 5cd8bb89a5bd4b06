package access

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// adminToken is good at the time of the clock, which the gate looks at.
func adminToken(t *testing.T, k *SigningKey, admin bool, life time.Duration) string {
	t.Helper()
	token, err := k.Sign(Claims{
		Account: "operator", Audience: []string{audience}, Expires: time.Now().Add(life),
		Documents: []Rule{{"", Read}}, Admin: admin,
	})
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func TestWhoSeesTheAdminPages(t *testing.T) {
	k := makeSigner(t)
	v := newVerifier(t, Options{KeyFile: keyFile(t, jwks(t, k))})
	off, on, only := AdminGate{}, AdminGate{Verifier: v}, AdminGate{Verifier: v, TokenOnly: true}
	admin, user := adminToken(t, k, true, time.Hour), adminToken(t, k, false, time.Hour)
	const local, away = "127.0.0.1:50000", "192.0.2.7:50000"
	with := func(pairs ...string) http.Header {
		h := make(http.Header)
		for i := 0; i < len(pairs); i += 2 {
			h.Add(pairs[i], pairs[i+1])
		}
		return h
	}
	tests := []struct {
		name   string
		gate   AdminGate
		from   string
		host   string
		header http.Header
		want   int
	}{
		{"this machine", off, local, "127.0.0.1:3030", nil, 200},
		{"this machine, by name", off, local, "localhost:3030", nil, 200},
		{"this machine, in six", off, "[::1]:50000", "[::1]:3030", nil, 200},
		{"a page of this machine", off, local, "localhost:3030", with("Origin", "http://localhost:3030"), 200},
		{"elsewhere", off, away, "relay.example", nil, 403},
		{"elsewhere, asking for this machine", off, away, "localhost:3030", nil, 403},
		{"a name that was made to point here", off, local, "rebound.evil.example:3030", nil, 403},
		{"no host", off, local, "", nil, 403},
		{"a page from elsewhere", off, local, "localhost:3030", with("Origin", "https://evil.example"), 403},
		{"a page without an origin", off, local, "localhost:3030", with("Origin", "null"), 403},
		{"a proxy here", off, local, "localhost:3030", with("X-Forwarded-For", "192.0.2.7"), 403},
		{"a proxy here, for this machine", off, local, "localhost:3030", with("X-Forwarded-For", "127.0.0.1"), 403},
		{"a proxy of the standard", off, local, "localhost:3030", with("Forwarded", "for=192.0.2.7"), 403},
		{"a proxy by another header", off, local, "localhost:3030", with("X-Real-IP", "192.0.2.7"), 403},
		{"a proxy that names itself", off, local, "localhost:3030", with("Via", "1.1 gate"), 403},
		{"elsewhere, that claims to be here", off, away, "localhost:3030", with("X-Forwarded-For", "127.0.0.1"), 403},
		{"no address", off, "@", "localhost:3030", nil, 403},
		{"a token, and access off", off, away, "relay.example", with("Authorization", "Bearer "+admin), 403},

		{"this machine, access on", on, local, "localhost:3030", nil, 200},
		{"admin", on, away, "relay.example", with("Authorization", "Bearer "+admin), 200},
		{"admin, through a proxy", on, local, "relay.example", with("Authorization", "Bearer "+admin, "X-Forwarded-For", "192.0.2.7"), 200},
		{"no admin", on, away, "relay.example", with("Authorization", "Bearer "+user), 403},
		{"no token", on, away, "relay.example", nil, 401},
		{"garbage", on, away, "relay.example", with("Authorization", "Bearer x"), 401},
		{"expired", on, away, "relay.example", with("Authorization", "Bearer "+adminToken(t, k, true, -time.Hour)), 401},
		{"a key from elsewhere", on, away, "relay.example", with("Authorization", "Bearer "+adminToken(t, makeSigner(t), true, time.Hour)), 401},
		{"two tokens", on, away, "relay.example", with("Authorization", "Bearer "+admin, "Authorization", "Bearer "+user), 401},

		{"this machine, tokens only", only, local, "localhost:3030", nil, 401},
		{"admin on this machine, tokens only", only, local, "localhost:3030", with("Authorization", "Bearer "+admin), 200},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodGet, "/metrics", nil)
			r.RemoteAddr, r.Host = tt.from, tt.host
			if tt.header != nil {
				r.Header = tt.header
			}
			w := httptest.NewRecorder()
			tt.gate.Wrap(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "metrics") })).ServeHTTP(w, r)
			if w.Code != tt.want || (w.Body.String() == "metrics") != (tt.want == 200) {
				t.Errorf("%d %s, want %d", w.Code, w.Body, tt.want)
			}
			if (w.Header().Get("WWW-Authenticate") != "") != (tt.want == 401) {
				t.Errorf("WWW-Authenticate is %q with %d", w.Header().Get("WWW-Authenticate"), w.Code)
			}
		})
	}
}

func TestAdminPagesWaitForAnIssuerThatIsDown(t *testing.T) {
	k := makeSigner(t)
	inWorldOf(t, &issuer{status: http.StatusBadGateway}, func(w world) {
		r := httptest.NewRequest(http.MethodGet, "/metrics", nil)
		r.Header.Set("Authorization", "Bearer "+adminToken(t, k, true, time.Hour))
		rec := httptest.NewRecorder()
		AdminGate{Verifier: w.v}.Wrap(http.NotFoundHandler()).ServeHTTP(rec, r)
		if rec.Code != http.StatusServiceUnavailable || strings.Contains(rec.Body.String(), "issuer.example") {
			t.Errorf("%d %s, want 503 without an address", rec.Code, rec.Body)
		}
	})
}
