package access

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
)

// Origins are the pages that may connect. The zero lets in those of this machine.
type Origins struct {
	all  bool
	list map[string]bool // as normalOrigin writes them; nil: those of this machine
}

// anyOrigin lets in all pages.
const anyOrigin = "*"

// opaqueOrigin is what browsers send for pages without an origin of their own, such
// as files and sandboxed frames.
const opaqueOrigin = "null"

// NewOrigins takes the origins that may connect, such as https://app.example, those
// of this machine no longer among them. * is all of them; null, the origin of pages
// that have none, has to be listed even beside it. An empty list is the zero
// Origins.
func NewOrigins(allowed []string) (Origins, error) {
	var o Origins
	for _, a := range allowed {
		if o.list == nil {
			o.list = make(map[string]bool)
		}
		if a == anyOrigin {
			o.all = true
			continue
		}
		if a == opaqueOrigin {
			o.list[a] = true
			continue
		}
		u, err := parseOrigin(a)
		if err != nil {
			return Origins{}, fmt.Errorf("origin %.100q: %w: write it as a browser does, such as https://app.example", a, err)
		}
		o.list[normalOrigin(u)] = true
	}
	return o, nil
}

// Check says whether a request is from a page that may connect. Clients that are no
// pages name no origin and may. An error is to be told after the upgrade, as that
// of a token.
func (o Origins) Check(r *http.Request) error {
	values := r.Header.Values("Origin")
	switch {
	case len(values) == 0:
		return nil
	case len(values) > 1:
		return fmt.Errorf("%w: the request names several origins", ErrForbidden)
	}
	if !o.allows(values[0]) {
		return fmt.Errorf("%w: pages of this origin may not connect; it is not among those allowed here", ErrForbidden)
	}
	return nil
}

func (o Origins) allows(origin string) bool {
	if origin == opaqueOrigin {
		return o.list[origin]
	}
	u, err := parseOrigin(origin)
	switch {
	case err != nil:
		return false
	case o.all:
		return true
	case o.list == nil:
		return loopbackOrigin(u)
	}
	return o.list[normalOrigin(u)]
}

// loopbackOrigin knows the pages that a server on this machine serves.
func loopbackOrigin(u *url.URL) bool {
	return (u.Scheme == "http" || u.Scheme == "https") && loopbackHost(u.Hostname())
}

// parseOrigin reads scheme, host and port, and nothing else.
func parseOrigin(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	if err != nil || u.Scheme == "" || u.Hostname() == "" || !strings.EqualFold(s, u.Scheme+"://"+u.Host) {
		return nil, errors.New("not an origin")
	}
	u.Host = strings.ToLower(u.Host)
	return u, nil
}

// normalOrigin leaves out the port that goes without saying.
func normalOrigin(u *url.URL) string {
	host := u.Host
	if port := u.Port(); u.Scheme == "https" && port == "443" || u.Scheme == "http" && port == "80" {
		host = strings.TrimSuffix(host, net.JoinHostPort("", port))
	}
	return u.Scheme + "://" + host
}
