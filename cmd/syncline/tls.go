package main

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"sync"
	"time"

	"github.com/spf13/pflag"
)

// tlsFlags name what a server shows to those who connect, if it does TLS itself.
type tlsFlags struct{ cert, key string }

func (f *tlsFlags) add(fl *pflag.FlagSet) {
	fl.StringVar(&f.cert, "tls-cert", "", "`FILE` with the certificate chain in PEM to serve TLS with, wss:// and https://; followed when it changes (SYNCLINE_TLS_CERT)")
	fl.StringVar(&f.key, "tls-key", "", "`FILE` with its private key in PEM (SYNCLINE_TLS_KEY)")
}

// certificate reads the files; nil if there is to be no TLS.
func (f *tlsFlags) certificate(log *slog.Logger) (*certificate, error) {
	switch {
	case f.cert == "" && f.key == "":
		return nil, nil
	case f.cert == "" || f.key == "":
		return nil, errors.New("--tls-cert and --tls-key belong together; give both or none")
	}
	c := &certificate{files: *f, log: log, now: time.Now}
	if err := c.read(); err != nil {
		return nil, err
	}
	c.looked = c.now()
	return c, nil
}

// rereadEvery is how often the files are read again, at most: a certificate is renewed
// weeks before its end.
const rereadEvery = 10 * time.Second

// certificate is a pair of files. They are read again when somebody connects; what
// does not fit together, as in the middle of a renewal, is not used.
type certificate struct {
	files tlsFlags
	log   *slog.Logger
	now   func() time.Time

	mu        sync.Mutex
	looked    time.Time
	cert, key []byte // as they were read
	failure   string // of the last look
	pair      *tls.Certificate
}

// listen serves TLS on a listener. HTTP/2 has no WebSocket that clients here speak.
func (c *certificate) listen(l net.Listener) net.Listener {
	return tls.NewListener(l, &tls.Config{
		MinVersion: tls.VersionTLS12,
		NextProtos: []string{"http/1.1"},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			return c.current(), nil
		},
	})
}

// current is the pair to show now.
func (c *certificate) current() *tls.Certificate {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := c.now(); now.Sub(c.looked) >= rereadEvery {
		c.looked = now
		failure := ""
		if err := c.read(); err != nil {
			failure = err.Error()
		}
		if failure != "" && failure != c.failure {
			c.log.Warn("the certificate cannot be read again; the one before stays", "err", failure)
		}
		c.failure = failure
	}
	return c.pair
}

// read reads the files, and takes what is in them if it is new and fits together.
func (c *certificate) read() error {
	cert, err := os.ReadFile(c.files.cert)
	if err != nil {
		return fmt.Errorf("read the certificate of --tls-cert: %w", bare(err))
	}
	key, err := os.ReadFile(c.files.key)
	if err != nil {
		return fmt.Errorf("read the key of --tls-key: %w", bare(err))
	}
	if c.pair != nil && bytes.Equal(cert, c.cert) && bytes.Equal(key, c.key) {
		return nil
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return fmt.Errorf("%s and %s are no certificate and its key, in PEM: %w", c.files.cert, c.files.key, err)
	}
	c.cert, c.key, c.pair = cert, key, &pair
	c.log.Info("certificate read", "names", pair.Leaf.DNSNames, "until", pair.Leaf.NotAfter)
	return nil
}
