// Package peers asks the other programs of a box how they are, once a second.
package peers

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"syscall"
	"time"

	"github.com/openvideobox/videobox/internal/metrics"
)

const (
	interval = time.Second
	timeout  = 2 * time.Second
)

// Peer is what is known of one program.
type Peer struct {
	Program  string         `json:"program"`
	Answered time.Time      `json:"answered,omitzero"` // when it last did
	Error    string         `json:"error,omitempty"`   // why it does not answer now
	Status   metrics.Status `json:"status"`            // of its last answer
}

// OK says whether the program answers.
func (p Peer) OK() bool { return p.Error == "" && !p.Answered.IsZero() }

// Leaf finds a part of the program's health.
func (p Peer) Leaf(name string) (metrics.Leaf, bool) {
	for _, l := range p.Status.Health {
		if l.Name == name {
			return l, true
		}
	}
	return metrics.Leaf{}, false
}

// Peers polls programs by their status addresses.
type Peers struct {
	addrs  map[string]string
	client *http.Client

	mu    sync.Mutex
	state map[string]Peer
}

// New knows programs by name and by the host:port of their status.
func New(addrs map[string]string) *Peers {
	p := &Peers{
		addrs: addrs, state: map[string]Peer{},
		client: &http.Client{Timeout: timeout, Transport: &http.Transport{MaxIdleConnsPerHost: 1, IdleConnTimeout: 10 * time.Second}},
	}
	for name := range addrs {
		p.state[name] = Peer{Program: name, Error: "not asked yet"}
	}
	return p
}

// Run asks until the context ends. After each round it calls done, if any.
func (p *Peers) Run(ctx context.Context, done func()) error {
	defer p.client.CloseIdleConnections()
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		p.round(ctx)
		if done != nil {
			done()
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// round asks all at once: one that hangs must not hide another.
func (p *Peers) round(ctx context.Context) {
	var wg sync.WaitGroup
	for name, addr := range p.addrs {
		wg.Go(func() {
			s, err := metrics.Fetch(ctx, p.client, "http://"+addr)
			p.mu.Lock()
			defer p.mu.Unlock()
			peer := p.state[name]
			if err != nil {
				peer.Error = Short(err)
			} else {
				peer.Status, peer.Answered, peer.Error = s, time.Now(), ""
			}
			p.state[name] = peer
		})
	}
	wg.Wait()
}

// Short says why a connection failed in as few words as a screen has room for:
// whom it was to is known.
func Short(err error) string {
	var timeout interface{ Timeout() bool }
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection refused"
	case errors.As(err, &timeout) && timeout.Timeout():
		return "no answer in time"
	}
	return err.Error()
}

// Get is what is known of a program.
func (p *Peers) Get(program string) Peer {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.state[program]
}
