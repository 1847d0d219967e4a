package main

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"strings"

	"github.com/openvideobox/videobox/appliance/internal/slot"
)

// settled makes what gokrazy's init does to the boot partition count: init
// changes files there without a flush, and restarts by mounting it.
type settled struct {
	init http.RoundTripper
	card func() (bootPartition, error)
}

// bootPartition is what slot.Card has for it.
type bootPartition interface {
	Free() error
	Settle() error
}

func systemCard() (bootPartition, error) { return slot.System() }

// RoundTrip frees the partition before whatever changes something, and flushes
// it before a restart and after the rest.
func (s settled) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		return s.init.RoundTrip(r)
	}
	card, err := s.card()
	if err != nil { // no box's disk: init says what is wrong with it
		return s.init.RoundTrip(r)
	}
	warn("before "+r.URL.Path, card.Free())
	if r.URL.Path == "/reboot" {
		warn("before "+r.URL.Path, card.Settle())
		return s.restart(r)
	}
	resp, err := s.init.RoundTrip(r)
	if err == nil {
		warn("after "+r.URL.Path, card.Settle())
	}
	return resp, err
}

func warn(when string, err error) {
	if err != nil {
		slog.Warn("boot partition "+when, "err", err)
	}
}

// restart asks init for it, which first ends all programs, boxd among them, and
// answers when they are gone. That boxd is told to end is the answer here.
func (s settled) restart(r *http.Request) (*http.Response, error) {
	type answer struct {
		*http.Response
		error
	}
	done := make(chan answer, 1)
	go func() {
		resp, err := s.init.RoundTrip(r.WithContext(context.WithoutCancel(r.Context())))
		done <- answer{resp, err}
	}()
	select {
	case a := <-done:
		return a.Response, a.error
	case <-r.Context().Done():
		return &http.Response{
			StatusCode: http.StatusOK, ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{}, Request: r,
			Body: io.NopCloser(strings.NewReader("The box restarts.\n")),
		}, nil
	}
}
