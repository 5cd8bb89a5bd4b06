package operate

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// CheckReady asks a running relay whether it is ready, at the http or https URL of
// its root. What it says when it is not is the error. The caller's ctx bounds it.
func CheckReady(ctx context.Context, root *url.URL) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, root.JoinPath(ReadyPath).String(), nil)
	if err != nil {
		return fmt.Errorf("ask whether the relay is ready: %w", err)
	}
	// One question, one connection: nothing stays open behind it.
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("ask whether the relay is ready: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusOK {
		return nil
	}
	reason, err := io.ReadAll(io.LimitReader(resp.Body, 1<<10))
	if text := strings.TrimSpace(string(reason)); err == nil && text != "" {
		return fmt.Errorf("the relay is not ready: %s", text)
	}
	return errors.New("the relay is not ready: it answers " + resp.Status)
}
