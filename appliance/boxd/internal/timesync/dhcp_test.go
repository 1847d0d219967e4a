package timesync

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"slices"
	"testing"
)

var (
	boxIP  = netip.MustParseAddr("192.0.2.12")
	boxMAC = net.HardwareAddr{0xb8, 0x27, 0xeb, 0, 0, 1}
)

// ack is a server's answer with options.
func ack(xid uint32, options ...byte) []byte {
	b := question(xid, boxIP, boxMAC)[:atOptions]
	b[0] = bootReply
	return append(b, options...)
}

// The offsets are those of RFC 2131, figure 1.
func TestQuestionIsADHCPINFORM(t *testing.T) {
	b := question(0x01020304, boxIP, boxMAC)
	want := map[int]byte{0: 1, 1: 1, 2: 6, 4: 1, 7: 4, 12: 192, 15: 12, 28: 0xb8, 33: 1, 236: 99, 237: 130, 238: 83, 239: 99, 240: 53, 242: 8, 243: 55, 245: 42, 246: 255}
	for at, v := range want {
		if b[at] != v {
			t.Errorf("byte %d is %d, want %d", at, b[at], v)
		}
	}
	if len(b) < 300 {
		t.Errorf("%d bytes, at least 300", len(b))
	}
}

func TestAnswers(t *testing.T) {
	for _, c := range []struct {
		name string
		b    []byte
		want []string
		err  bool
	}{
		{"two", ack(7, 53, 1, 5, 0, 0, 42, 8, 192, 0, 2, 1, 192, 0, 2, 2, 255), []string{"192.0.2.1", "192.0.2.2"}, false},
		{"before the type", ack(7, 42, 4, 192, 0, 2, 1, 53, 1, 5, 255), []string{"192.0.2.1"}, false},
		{"none", ack(7, 53, 1, 5, 255), nil, false},
		{"half an address is left out", ack(7, 53, 1, 5, 42, 6, 192, 0, 2, 1, 9, 9, 255), []string{"192.0.2.1"}, false},
		{"without an end", ack(7, 53, 1, 5, 42, 4, 192, 0, 2, 1), []string{"192.0.2.1"}, false},
		{"refused", ack(7, 53, 1, 6, 42, 4, 192, 0, 2, 1, 255), nil, true},
		{"to another question", ack(8, 53, 1, 5, 255), nil, true},
		{"a question", question(7, boxIP, boxMAC), nil, true},
		{"cut off", ack(7, 53, 1, 5, 42, 9, 192), nil, true},
		{"short", ack(7)[:100], nil, true},
	} {
		got, err := answer(c.b, 7)
		if !slices.Equal(got, c.want) && !c.err || (err != nil) != c.err {
			t.Errorf("%s: %v, %v", c.name, got, err)
		}
	}
}

func FuzzAnswer(f *testing.F) {
	f.Add(ack(7, 53, 1, 5, 42, 4, 192, 0, 2, 1, 255))
	f.Add(ack(7, 53, 1, 5, 0, 42, 9, 192))
	f.Fuzz(func(t *testing.T, b []byte) {
		servers, err := answer(b, 7)
		if err == nil && (len(servers) > len(b)/4 || binary.BigEndian.Uint32(b[atXID:]) != 7) {
			t.Errorf("%v", servers)
		}
		for _, s := range servers {
			if _, err := netip.ParseAddr(s); err != nil {
				t.Error(err)
			}
		}
	})
}

// TestExchangeRepeatsItself has a server that drops the first question and sends
// nonsense before its answer.
func TestExchangeRepeatsItself(t *testing.T) {
	server, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		var b [1500]byte
		for n := 0; n < 2; n++ {
			_, from, err := server.ReadFrom(b[:])
			if err != nil {
				return
			}
			if n == 0 {
				continue
			}
			xid := binary.BigEndian.Uint32(b[atXID:])
			server.WriteTo([]byte("nonsense"), from)
			server.WriteTo(ack(xid+1, 53, 1, 5, 255), from)
			server.WriteTo(ack(xid, 53, 1, 5, 42, 4, 127, 0, 0, 1, 255), from)
		}
	}()
	defer func() { server.Close(); <-done }()
	conn, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	got, err := exchange(t.Context(), conn, server.LocalAddr(), boxIP, boxMAC)
	if err != nil || !slices.Equal(got, []string{"127.0.0.1"}) {
		t.Errorf("%v, %v", got, err)
	}
}

func TestExchangeEndsWithItsContext(t *testing.T) {
	conn, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := exchange(ctx, conn, conn.LocalAddr(), boxIP, boxMAC); !errors.Is(err, context.Canceled) && !errors.Is(err, net.ErrClosed) {
		t.Errorf("%v", err)
	}
}
