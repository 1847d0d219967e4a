package tee

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/openvideobox/videobox/internal/mpegts"
)

// group is a random one, on a random port.
func group() string {
	return fmt.Sprintf("239.255.%d.%d:%d", rand.IntN(254)+1, rand.IntN(254)+1, 20000+rand.IntN(10000))
}

var onLoopback = OpenOptions{Interface: "lo", ReadTimeout: patience}

func openUDPReader(t testing.TB, address string) *UDPReader {
	t.Helper()
	rc, err := Open(t.Context(), "udp://"+address, onLoopback)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { rc.Close() })
	return rc.(*UDPReader)
}

// sending runs a sender until the test ends.
func sending(t testing.TB, s *Sender) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	ready := s.Ring.readers.Load() + 1
	go func() { done <- s.Run(ctx) }()
	eventually(t, "sender", func() bool { return s.Ring.readers.Load() == ready || len(done) > 0 })
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error("Run:", err)
		}
	})
}

func TestMulticastOnLoopback(t *testing.T) {
	var m maker
	r := immediate(100 * testBlock)
	to := group()
	rd := openUDPReader(t, to)
	s := &Sender{Ring: r, Multicast: Multicast{Group: to, Interface: "lo", TTL: 0}}
	sending(t, s)
	write(t, r, m.gop(5))
	got := readPackets(t, rd, 2+5*12)
	checkStream(t, got)
	if frameOf(got) != 0 {
		t.Errorf("starts at frame %d", frameOf(got))
	}
	// 62 packets in datagrams of seven, and parts when they were due.
	if n := rd.Stats(); n.Bytes != uint64(len(got)) || n.Datagrams < 9 || n.Bad != 0 || n.Dropped != 0 {
		t.Errorf("received: %+v", n)
	}
	eventually(t, "counters", func() bool { return s.Stats().Bytes == uint64(len(got)) })
	if n := s.Stats(); n.Datagrams != rd.Stats().Datagrams || n.Failed != 0 {
		t.Errorf("sent: %+v, received: %+v", n, rd.Stats())
	}
}

func TestSenderEndsWithRing(t *testing.T) {
	var m maker
	r := NewRing(1 << 20)
	to := group()
	rd := openUDPReader(t, to)
	done := make(chan error, 1)
	go func() {
		done <- Send(context.Background(), r, Multicast{Group: to, Interface: "lo"}, slog.New(slog.DiscardHandler))
	}()
	eventually(t, "sender", func() bool { return r.Stats().Readers == 1 })
	write(t, r, m.gop(5))
	r.Close()
	if err := <-done; err != nil {
		t.Error(err)
	}
	checkStream(t, readPackets(t, rd, 2+5*12)) // nothing was kept back
}

// Two groups on one port must not mix, and both may be joined twice.
func TestGroupsOnOnePort(t *testing.T) {
	one, other := group(), group()
	_, port, _ := net.SplitHostPort(one)
	host, _, _ := net.SplitHostPort(other)
	other = net.JoinHostPort(host, port)
	if one == other {
		t.Skip("one group by chance")
	}
	readers := map[string]*UDPReader{"one": openUDPReader(t, one), "again": openUDPReader(t, one), "other": openUDPReader(t, other)}
	to, err := net.ResolveUDPAddr("udp4", "127.0.0.1:"+port)
	if err != nil {
		t.Fatal(err)
	}
	unicast, err := net.DialUDP("udp4", nil, to)
	if err != nil {
		t.Fatal(err)
	}
	defer unicast.Close()
	_, _ = unicast.Write(append([]byte{syncByte, 0, 0, 0, 3}, make([]byte, mpegts.PacketSize-5)...)) // refused: nobody gets it
	for address, first := range map[string]byte{one: 1, other: 2} {
		conn := sendTo(t, address)
		for range 3 {
			p := make([]byte, mpegts.PacketSize)
			p[0], p[4] = syncByte, first
			if _, err := conn.Write(p); err != nil {
				t.Fatal(err)
			}
		}
	}
	for name, want := range map[string]byte{"one": 1, "again": 1, "other": 2} {
		b := readPackets(t, readers[name], 3)
		for i := 4; i < len(b); i += mpegts.PacketSize {
			if b[i] != want {
				t.Errorf("%s: got a packet of group %d", name, b[i])
			}
		}
	}
}

// sendTo returns a socket that sends to a group on lo with TTL 0.
func sendTo(t testing.TB, to string) io.Writer {
	t.Helper()
	s := &Sender{Multicast: Multicast{Group: to, Interface: "lo"}}
	if err := s.open(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.conn.Close() })
	return writerFunc(func(b []byte) (int, error) { return s.conn.WriteToUDPAddrPort(b, s.to) })
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }

// Noise sent to the group is counted, and the stream goes on.
func TestNoiseOnTheGroup(t *testing.T) {
	to := group()
	rd := openUDPReader(t, to)
	conn := sendTo(t, to)
	packet := make([]byte, 2*mpegts.PacketSize)
	packet[0], packet[mpegts.PacketSize] = syncByte, syncByte
	shifted := make([]byte, 2*mpegts.PacketSize)
	shifted[0] = syncByte
	for _, b := range [][]byte{{}, {1, 2, 3}, make([]byte, mpegts.PacketSize), packet[:200], shifted, make([]byte, 60000), packet} {
		if _, err := conn.Write(b); err != nil {
			t.Fatal(err)
		}
	}
	readPackets(t, rd, 2)
	if s := rd.Stats(); s.Bad != 6 || s.Datagrams != 1 {
		t.Errorf("%+v; want 6 bad, 1 good", s)
	}
}

func TestUnicast(t *testing.T) {
	var m maker
	r := immediate(100 * testBlock)
	port := 20000 + rand.IntN(10000)
	to := fmt.Sprintf("127.0.0.1:%d", port)
	rd := openUDPReader(t, to)
	sending(t, &Sender{Ring: r, Multicast: Multicast{Group: to}})
	write(t, r, m.gop(5))
	checkStream(t, readPackets(t, rd, 2+5*12))
	if _, err := Open(t.Context(), "udp://"+to, OpenOptions{}); err == nil || !strings.Contains(err.Error(), "taken") {
		t.Errorf("the port twice: %v", err)
	}
}

func TestUDPReaderEnds(t *testing.T) {
	for name, end := range map[string]func(cancel func(), rc io.Closer){
		"context": func(cancel func(), _ io.Closer) { cancel() },
		"Close":   func(_ func(), rc io.Closer) { rc.Close() },
	} {
		ctx, cancel := context.WithCancel(t.Context())
		rc, err := Open(ctx, "udp://"+group(), OpenOptions{Interface: "lo"})
		if err != nil {
			t.Fatal(err)
		}
		got := make(chan error, 1)
		go func() {
			_, err := rc.Read(make([]byte, 1500))
			got <- err
		}()
		end(cancel, rc)
		select {
		case err := <-got:
			if err == nil {
				t.Errorf("%s: no error", name)
			}
		case <-time.After(patience):
			t.Fatalf("%s: Read goes on", name)
		}
		if err := rc.Close(); err != nil {
			t.Errorf("%s: Close: %v", name, err)
		}
		cancel()
	}
}

func TestUDPReadTimeout(t *testing.T) {
	rc, err := Open(t.Context(), "udp://"+group(), OpenOptions{Interface: "lo", ReadTimeout: 20 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer rc.Close()
	_, err = rc.Read(make([]byte, 1500))
	if !errors.Is(err, os.ErrDeadlineExceeded) || !strings.Contains(err.Error(), "no data for 20ms") {
		t.Errorf("got %v", err)
	}
}

func TestBadMulticast(t *testing.T) {
	for _, c := range []struct {
		m    Multicast
		want string
	}{
		{Multicast{Group: "239.255.42.1"}, "GROUP:PORT"},
		{Multicast{Group: "239.255.42.1:0"}, "1 to 65535"},
		{Multicast{Group: "[ff02::1]:5004"}, "IPv4"},
		{Multicast{Group: "239.255.42.1:5004", Interface: "eth99"}, "eth99"},
	} {
		err := Send(t.Context(), NewRing(1<<20), c.m, nil)
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%+v: %v; want a line with %q", c.m, err, c.want)
		}
	}
}

// A sender that was lapped goes on with what is new.
func TestLappedSender(t *testing.T) {
	var m maker
	r := immediate(8 * testBlock)
	to := group()
	rd := openUDPReader(t, to)
	s := &Sender{Ring: r, Multicast: Multicast{Group: to, Interface: "lo"}, Log: slog.New(slog.DiscardHandler)}
	sending(t, s)
	var burst []byte
	for range 20 {
		burst = append(burst, m.gop(10)...)
	}
	for s.Stats().Lapped == 0 {
		write(t, r, burst) // far more than the ring holds
	}
	last := make(chan struct{})
	go func() {
		defer close(last)
		buf := make([]byte, batch)
		for n := 0; n < 100*mpegts.PacketSize; {
			got, err := rd.Read(buf)
			if err != nil {
				t.Error(err)
				return
			}
			n += got
		}
	}()
	for {
		write(t, r, m.gop(1))
		select {
		case <-last:
			return
		case <-time.After(time.Millisecond):
		}
	}
}
