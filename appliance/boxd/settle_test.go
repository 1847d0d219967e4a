package main

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// diary is an init and a boot partition that write down what happens to them.
type diary struct {
	said []string
	fail bool
}

func (d *diary) RoundTrip(r *http.Request) (*http.Response, error) {
	d.said = append(d.said, r.Method+" "+r.URL.Path)
	if d.fail {
		return nil, errors.New("init is gone")
	}
	return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader(""))}, nil
}

func (d *diary) Free() error   { d.said = append(d.said, "free"); return errors.New("in use") }
func (d *diary) Settle() error { d.said = append(d.said, "settle"); return nil }

// TestBootPartitionIsSettled: without it, an update that init has switched to is
// lost when something holds the boot partition; see TestShortPCUpdate.
func TestBootPartitionIsSettled(t *testing.T) {
	for _, c := range []struct {
		method, path string
		none, fail   bool
		want         string
	}{
		{"POST", "/update/switch", false, false, "free POST /update/switch settle"},
		{"PUT", "/update/root", false, false, "free PUT /update/root settle"},
		{"POST", "/reboot", false, true, "free settle POST /reboot"},
		{"GET", "/log", false, false, "GET /log"},
		{"POST", "/update/switch", true, false, "POST /update/switch"},
	} {
		d := &diary{fail: c.fail}
		s := settled{d, func() (bootPartition, error) {
			if c.none {
				return nil, errors.New("no box")
			}
			return d, nil
		}}
		resp, err := s.RoundTrip(httptest.NewRequestWithContext(t.Context(), c.method, c.path, nil))
		if (err != nil) != c.fail {
			t.Errorf("%s: %v", c.path, err)
		}
		if err == nil {
			resp.Body.Close()
		}
		if got := strings.Join(d.said, " "); got != c.want {
			t.Errorf("%s %s: %s, want %s", c.method, c.path, got, c.want)
		}
	}
}

// dying is an init that answers a restart only when boxd is gone.
type dying struct{ asked, release chan struct{} }

func (d dying) RoundTrip(r *http.Request) (*http.Response, error) {
	close(d.asked)
	select {
	case <-d.release:
	case <-r.Context().Done():
		return nil, errors.New("init has lost the request")
	}
	return nil, errors.New("too late")
}

// TestRestartIsAnswered: gok takes any answer but 200 for a failure.
func TestRestartIsAnswered(t *testing.T) {
	d := dying{make(chan struct{}), make(chan struct{})}
	defer close(d.release)
	s := settled{d, func() (bootPartition, error) { return &diary{}, nil }}
	ctx, end := context.WithCancel(t.Context())
	go func() { <-d.asked; end() }() // SIGTERM
	resp, err := s.RoundTrip(httptest.NewRequestWithContext(ctx, http.MethodPost, "/reboot", nil))
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%v, %v", resp, err)
	}
	resp.Body.Close()
}
