package dnssd

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/openvideobox/videobox/internal/dnssd/dnssdtest"
)

func TestMain(m *testing.M) {
	os.Exit(m.Run())
}

// until asks until the answers are as wanted.
func until(t *testing.T, ctx context.Context, service string, ok func([]Found) bool) []Found {
	t.Helper()
	for {
		list, err := Lookup(ctx, service, time.Second)
		if err != nil {
			t.Fatal(err)
		}
		if ok(list) {
			return list
		}
		if ctx.Err() != nil {
			t.Fatalf("last found: %+v", list)
		}
	}
}

// TestAnnouncedIsFound announces a mixer host and a box, finds each with what it
// said, sees a service go, and one whose host gets another address come again.
func TestAnnouncedIsFound(t *testing.T) {
	if !dnssdtest.Alone(t) {
		return
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Second)
	defer cancel()
	if list, err := Lookup(ctx, Event, 200*time.Millisecond); err != nil || len(list) != 0 {
		t.Fatalf("before anything is there: %+v, %v", list, err)
	}
	announce := func(s Service) (stop func()) {
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- Announce(ctx, s) }()
		return func() {
			cancel()
			if err := <-ended; !errors.Is(err, context.Canceled) {
				t.Errorf("announcing ended by %v", err)
			}
		}
	}
	text := map[string]string{"name": "box1", "room": "janson", "mac": "02:00:00:00:00:01"}
	stopMixer := announce(Service{Type: Event, Name: "Example Conf: janson", Host: "mixer1", Port: 8000, Text: map[string]string{"event": "Example Conf"}})
	stopBox := announce(Service{Type: Box, Name: "box1", Host: "box1", Port: 80, Text: text})
	defer stopBox()

	// The first answer may come by the other end of the card, link-local.
	v4 := func(l []Found) bool { return len(l) == 1 && l[0].Addr.Addr().Is4() }
	got := until(t, ctx, Event, v4)[0]
	want := Found{"Example Conf: janson", netip.MustParseAddrPort("192.0.2.10:8000"), map[string]string{"event": "Example Conf"}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("mixer %+v, want %+v", got, want)
	}
	got = until(t, ctx, Box, func(l []Found) bool { return len(l) == 1 })[0]
	if got.Name != "box1" || got.Addr.Port() != 80 || !reflect.DeepEqual(got.Text, text) {
		t.Errorf("box %+v", got)
	}
	stopMixer()
	until(t, ctx, Event, func(l []Found) bool { return len(l) == 0 })
	dnssdtest.AddAddress(t, "198.51.100.9/24")
	until(t, ctx, Box, func(l []Found) bool { return len(l) == 1 })
}

// response is what a responder with one service sends.
func response(id uint16, name string) *dns.Msg {
	m := &dns.Msg{MsgHdr: dns.MsgHdr{Id: id, Response: true, Authoritative: true}}
	h := func(name string, t uint16) dns.RR_Header {
		return dns.RR_Header{Name: name, Rrtype: t, Class: dns.ClassINET, Ttl: 120}
	}
	m.Answer = []dns.RR{&dns.PTR{Hdr: h(Event+".local.", dns.TypePTR), Ptr: name}}
	m.Extra = []dns.RR{
		&dns.SRV{Hdr: h(name, dns.TypeSRV), Port: 8000, Target: "m.local."},
		&dns.TXT{Hdr: h(name, dns.TypeTXT), Txt: []string{"event=Conf", "event=Other", "=x", "flag"}},
	}
	return m
}

func TestParse(t *testing.T) {
	from := netip.MustParseAddrPort("[::ffff:192.0.2.9]:5353")
	pack := func(m *dns.Msg) []byte {
		b, err := m.Pack()
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	good := response(7, `Conf\032\(1\)\.b.`+Event+".local.")
	list := parse(pack(good), Event, 7, from)
	want := []Found{{"Conf (1).b", netip.MustParseAddrPort("192.0.2.9:8000"), map[string]string{"event": "Conf", "flag": ""}}}
	if !reflect.DeepEqual(list, want) {
		t.Errorf("%+v, want %+v", list, want)
	}
	for what, change := range map[string]func(*dns.Msg){
		"to another question": func(m *dns.Msg) { m.Id = 8 },
		"a question":          func(m *dns.Msg) { m.Response = false },
		"another service":     func(m *dns.Msg) { m.Answer[0].Header().Name = "_http._tcp.local." },
		"a goodbye":           func(m *dns.Msg) { m.Answer[0].Header().Ttl = 0 },
		"no port":             func(m *dns.Msg) { m.Extra = nil },
	} {
		m := response(7, "a."+Event+".local.")
		change(m)
		if list := parse(pack(m), Event, 7, from); list != nil {
			t.Errorf("%s: %+v", what, list)
		}
	}
}

func FuzzParse(f *testing.F) {
	b, err := response(7, `Conf\032\(1\).`+Event+".local.").Pack()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, s := range parse(data, Event, 7, netip.MustParseAddrPort("192.0.2.9:5353")) {
			if s.Addr.Port() == 0 || s.Text == nil {
				t.Errorf("%+v", s)
			}
		}
	})
}

func TestServicesThatCannotBeAnnounced(t *testing.T) {
	for what, s := range map[string]Service{
		"no name":     {Type: Box, Port: 80},
		"a long name": {Type: Box, Port: 80, Name: strings.Repeat("n", 64)},
		"a long text": {Type: Box, Port: 80, Name: "n", Text: map[string]string{"k": strings.Repeat("v", 254)}},
		"much text": {Type: Box, Port: 80, Name: "n", Text: map[string]string{
			"a": strings.Repeat("v", 250), "b": strings.Repeat("v", 250), "c": strings.Repeat("v", 250),
			"d": strings.Repeat("v", 250), "e": strings.Repeat("v", 250), "f": strings.Repeat("v", 250)}},
	} {
		if err := Announce(t.Context(), s); err == nil || !strings.HasPrefix(err.Error(), "dnssd: ") {
			t.Errorf("%s: %v", what, err)
		}
	}
}
