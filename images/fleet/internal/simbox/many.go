package simbox

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/openvideobox/videobox/images/fleet/internal/box"
	"github.com/openvideobox/videobox/internal/bundle"
	"github.com/openvideobox/videobox/internal/clock"
)

// Builds of what the boxes of a Fleet run, and of what Bundle has.
const (
	OldBuild = 1_700_000_000
	NewBuild = 1_800_000_000
)

// Key signs the bundles that a Fleet's boxes take.
var Key = ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))

// WriteBundle writes version 1.3 for the boxes of a Fleet, that many bytes of
// noise.
func WriteBundle(w io.Writer, key ed25519.PrivateKey, size int64) error {
	root := make([]byte, size)
	_, _ = rand.NewChaCha8([32]byte{9}).Read(root)
	m := bundle.Manifest{Board: "videobox", Arch: "arm64", Version: "1.3", Build: NewBuild}
	return bundle.Write(w, m, key, bundle.Payload{Name: bundle.Root, ReaderAt: bytes.NewReader(root), Size: size})
}

// Fleet is many boxes, box1 and so on, which run version 1.2 and have the
// credentials admin and secret.
type Fleet struct {
	Boxes []*Box
	Held  *clock.Held
	web   []*httptest.Server
}

// NewFleet starts n boxes, each on a port of its own, on a held clock.
func NewFleet(n int) *Fleet {
	held := clock.NewHeld(OldBuild * int64(time.Second))
	f := NewFleetOn(n, held)
	f.Held = held
	return f
}

// NewFleetOn starts them on any clock; there is no Held then.
func NewFleetOn(n int, c clock.Clock) *Fleet {
	f := &Fleet{}
	for i := range n {
		b := &Box{User: "admin", Password: "secret", Name: fmt.Sprintf("box%d", i+1), Clock: c, Key: Key.Public().(ed25519.PublicKey)}
		b.running = box.Running{Version: "1.2", Build: OldBuild, Board: "videobox", Slot: "A"}
		f.Boxes = append(f.Boxes, b)
		f.web = append(f.web, httptest.NewServer(b))
	}
	return f
}

// Addr is where a box is reached.
func (f *Fleet) Addr(i int) string { return strings.TrimPrefix(f.web[i].URL, "http://") }

// Fault gives a box faults.
func (f *Fleet) Fault(i int, change func(*Faults)) {
	f.Boxes[i].Set(func(faults *Faults, _ *box.Running) { change(faults) })
}

// During runs something while the clock goes on: to the next instant that
// anybody waits for, as soon as there is one.
func (f *Fleet) During(ctx context.Context, do func(context.Context)) {
	ctx, cancel := context.WithCancel(ctx)
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		for {
			if _, err := f.Held.Next(ctx); err != nil {
				return
			}
		}
	}()
	do(ctx)
	cancel()
	<-gone
}

// Close ends the boxes.
func (f *Fleet) Close() {
	for _, w := range f.web {
		w.Close()
	}
}
