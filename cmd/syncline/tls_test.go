package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// newCertificate writes a certificate for 127.0.0.1, signed by itself, and its key.
func newCertificate(t *testing.T, f tlsFlags, serial int64) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(serial), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	write(t, f.cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	write(t, f.key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}))
}

func TestRelayServesTLS(t *testing.T) {
	dir := t.TempDir()
	files := tlsFlags{cert: filepath.Join(dir, "cert.pem"), key: filepath.Join(dir, "key.pem")}
	newCertificate(t, files, 1)
	v := start(t, "relay", "--data", filepath.Join(dir, "data"), "--listen", "127.0.0.1:0", "--tls-cert", files.cert, "--tls-key", files.key,
		"--handshake-timeout", "1m") // what is no message ends the handshake, and not the time
	url := v.await(`url=(wss://\S+)`)[1]
	roots := x509.NewCertPool()
	pemBytes, err := os.ReadFile(files.cert)
	if err != nil || !roots.AppendCertsFromPEM(pemBytes) {
		t.Fatal(err)
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: true}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}
	res, err := client.Get("https" + strings.TrimPrefix(url, "wss") + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(res.Body)
	res.Body.Close()
	if err != nil || res.StatusCode != 200 || string(b) != "ready\n" {
		t.Errorf("%s %q %v", res.Status, b, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	ws, _, err := websocket.Dial(ctx, url, &websocket.DialOptions{HTTPClient: client})
	if err != nil {
		t.Fatal(err)
	}
	defer ws.CloseNow()
	// What is no message is answered, and closed.
	if err := ws.Write(ctx, websocket.MessageBinary, []byte("?")); err != nil {
		t.Fatal(err)
	}
	if _, b, err := ws.Read(ctx); err != nil || !strings.Contains(string(b), "error") {
		t.Errorf("read %q, %v", b, err)
	}
	v.await(`handshake failed`) // the log is not read otherwise, and the relay waits for that
	if _, _, err := ws.Read(ctx); websocket.CloseStatus(err) != 4003 {
		t.Errorf("closed with %v", err)
	}
	if code := v.stop(); code != 0 {
		t.Errorf("exit code %d", code)
	}

	relay := func(args ...string) []string {
		return append([]string{"relay", "--data", filepath.Join(dir, "none"), "--listen", "127.0.0.1:0", "--log-level", "error"}, args...)
	}
	refused(t, 1, []string{"--tls-cert", "--tls-key", "both"}, relay("--tls-cert", files.cert)...)
	refused(t, 1, []string{"absent.pem", "no such file"}, relay("--tls-cert", files.cert, "--tls-key", filepath.Join(dir, "absent.pem"))...)
	refused(t, 1, []string{"no certificate and its key"}, relay("--tls-cert", files.cert, "--tls-key", files.cert)...)
	if _, err := os.Stat(filepath.Join(dir, "none")); !os.IsNotExist(err) {
		t.Errorf("what was refused has left something behind: %v", err)
	}
}

// TestACertificateIsFollowed when its files change, and stays while they do not fit
// together.
func TestACertificateIsFollowed(t *testing.T) {
	dir := t.TempDir()
	files := tlsFlags{cert: filepath.Join(dir, "cert.pem"), key: filepath.Join(dir, "key.pem")}
	newCertificate(t, files, 1)
	c, err := files.certificate(slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	now := c.looked
	c.now = func() time.Time { return now }
	shown := func(want int64) {
		t.Helper()
		if got := c.current().Leaf.SerialNumber.Int64(); got != want {
			t.Errorf("certificate %d is shown, want %d", got, want)
		}
	}
	first, err := os.ReadFile(files.key)
	if err != nil {
		t.Fatal(err)
	}
	newCertificate(t, files, 2)
	second, err := os.ReadFile(files.key)
	if err != nil {
		t.Fatal(err)
	}
	shown(1) // it was only just looked at
	write(t, files.key, first)
	now = now.Add(rereadEvery)
	shown(1) // the new certificate, and the key of the old
	write(t, files.key, second)
	now = now.Add(rereadEvery)
	shown(2)
	if err := os.Remove(files.cert); err != nil {
		t.Fatal(err)
	}
	now = now.Add(rereadEvery)
	shown(2)
}
