package access

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
)

// source is where keys are published. A source is asked by one goroutine at a time.
type source interface {
	// fetch returns what is published, at most maxKeyBytes, or errUnchanged if that
	// is what it returned before.
	fetch(ctx context.Context) ([]byte, error)
	String() string
}

var errUnchanged = errors.New("unchanged")

// fileSource is read whole each time: that is as cheap as what would tell whether
// it has changed, and sees a change within the clock's step of another.
type fileSource struct {
	path string
	last []byte
}

func (f *fileSource) String() string { return f.path }

func (f *fileSource) fetch(context.Context) ([]byte, error) {
	info, err := os.Stat(f.path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("it is not a file that can be read again")
	}
	file, err := os.Open(f.path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	b, err := readBounded(file)
	if err != nil {
		return nil, err
	}
	if f.last != nil && bytes.Equal(b, f.last) {
		return nil, errUnchanged
	}
	f.last = b
	return b, nil
}

// readBounded reads it all, or fails without having read much more than is allowed.
func readBounded(r io.Reader) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, maxKeyBytes+1))
	if err == nil && len(b) > maxKeyBytes {
		return nil, fmt.Errorf("it has more than %d bytes", maxKeyBytes)
	}
	return b, err
}

// urlSource asks with what the last answer said of its version.
type urlSource struct {
	url    *url.URL
	client *http.Client

	etag, modified string
}

const maxRedirects = 3

// newURLSource takes a client's transport, but follows only what could be given as
// the URL itself.
func newURLSource(address string, client *http.Client) (*urlSource, error) {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return nil, errors.New("the JWKS URL is not a URL")
	}
	if err := trustworthy(u); err != nil {
		return nil, err
	}
	s := &urlSource{url: u, client: &http.Client{}}
	if client != nil {
		*s.client = *client
	}
	if s.client.Transport == nil {
		t := http.DefaultTransport.(*http.Transport).Clone()
		t.DisableKeepAlives = true // the next request is minutes away
		s.client.Transport = t
	}
	s.client.CheckRedirect = func(req *http.Request, via []*http.Request) error {
		if len(via) > maxRedirects {
			return fmt.Errorf("more than %d redirects", maxRedirects)
		}
		return trustworthy(req.URL)
	}
	return s, nil
}

// trustworthy refuses addresses under which anybody on the way could put keys.
func trustworthy(u *url.URL) error {
	switch {
	case u.Scheme == "https", u.Scheme == "http" && loopbackHost(u.Hostname()):
		return nil
	}
	return errors.New("the JWKS URL is neither https nor on this machine, so that anybody on the way could put keys of theirs into it")
}

func (s *urlSource) String() string { return s.url.Redacted() }

func (s *urlSource) fetch(ctx context.Context) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url.String(), nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/jwk-set+json, application/json")
	if s.etag != "" {
		req.Header.Set("If-None-Match", s.etag)
	}
	if s.modified != "" {
		req.Header.Set("If-Modified-Since", s.modified)
	}
	res, err := s.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	if res.StatusCode == http.StatusNotModified && (s.etag != "" || s.modified != "") {
		return nil, errUnchanged
	}
	// The version counts only for an answer that is read to its end.
	s.etag, s.modified = "", ""
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("it answers %s", res.Status)
	}
	b, err := readBounded(res.Body)
	if err != nil {
		return nil, err
	}
	s.etag, s.modified = res.Header.Get("ETag"), res.Header.Get("Last-Modified")
	return b, nil
}

// loopbackHost knows the names and addresses of this machine in a URL or a header.
func loopbackHost(host string) bool {
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}

// Loopback reports whether an address to listen on, as a listener has it, is
// reached from this machine only: access control may be off there, and elsewhere
// only if somebody says so.
func Loopback(addr net.Addr) bool {
	switch a := addr.(type) {
	case *net.TCPAddr:
		return a.IP.IsLoopback()
	case *net.UnixAddr:
		return true
	}
	return false
}
