package ntp_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/openvideobox/videobox/internal/clock/ntp"
	"github.com/openvideobox/videobox/internal/clock/ntp/ntptest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// serve runs a server on loopback and says where.
func serve(t *testing.T, s *ntptest.Server) string {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); s.Serve(ctx, conn) }()
	t.Cleanup(func() { cancel(); <-done })
	return conn.LocalAddr().String()
}

var started = time.Now()

func raw() int64 { return int64(time.Since(started)) }

func TestClientReadsAServersTime(t *testing.T) {
	ahead := int64(5 * time.Second)
	addr := serve(t, &ntptest.Server{Now: func() int64 { return time.Now().UnixNano() + ahead }})
	c := &ntp.Client{Raw: raw}
	before := time.Now().UnixNano()
	r, err := c.Query(t.Context(), addr)
	after := time.Now().UnixNano()
	if err != nil {
		t.Fatal(err)
	}
	// The server looked at its clock between before and after.
	if now := r.Raw + r.Offset - ahead; now < before-int64(r.Delay) || now > after+int64(r.Delay) {
		t.Errorf("%d, want from %d to %d", now, before, after)
	}
}

func TestClientSaysWhyThereIsNoTime(t *testing.T) {
	c := &ntp.Client{Raw: raw, Timeout: 50 * time.Millisecond} // for those who never answer
	patient := &ntp.Client{Raw: raw, Timeout: 20 * time.Second}
	now := func() int64 { return time.Now().UnixNano() }
	silent := serve(t, &ntptest.Server{Now: now, Answer: func(*ntp.Packet) bool { return false }})
	forger := serve(t, &ntptest.Server{Now: now, Answer: func(p *ntp.Packet) bool { p.Origin++; return true }})
	kissing := serve(t, &ntptest.Server{Now: now, Answer: func(p *ntp.Packet) bool {
		p.Stratum, p.RefID = 0, [4]byte([]byte("RATE"))
		return true
	}})
	gone, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gone.Close()
	for server, want := range map[string]struct {
		c    *ntp.Client
		says string
	}{
		silent: {c, "no answer within 50ms"}, forger: {c, "no answer within 50ms"}, kissing: {patient, "kiss code RATE"},
		gone.LocalAddr().String(): {patient, "refused"}, "127.0.0.1:notaport": {patient, "port"},
	} {
		if _, err := want.c.Query(t.Context(), server); err == nil || !strings.Contains(err.Error(), want.says) {
			t.Errorf("%s: %v, want %q", server, err, want.says)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Query(ctx, silent); err == nil || errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("cancelled: %v", err)
	}
}

// A server answers from the address that was asked, or not at all.
func TestAnswerFromAnotherAddressIsNotTaken(t *testing.T) {
	asked, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	other, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		var b [ntp.Size]byte
		_, from, err := asked.ReadFrom(b[:])
		if err != nil {
			return
		}
		q, _ := ntp.Parse(b[:])
		other.WriteTo(ntptest.Reply(q, time.Now().UnixNano()).Append(nil), from)
	}()
	defer func() { asked.Close(); other.Close(); <-done }()
	c := &ntp.Client{Raw: raw, Timeout: 50 * time.Millisecond}
	if r, err := c.Query(t.Context(), asked.LocalAddr().String()); err == nil {
		t.Errorf("taken: %+v", r)
	}
}
