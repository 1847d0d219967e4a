package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	cdppage "github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/openvideobox/videobox/appliance/boxd/internal/disk"
	"github.com/openvideobox/videobox/internal/chromium"
	"github.com/openvideobox/videobox/internal/recording"
)

// visitor is a Chromium with the box's password, and what its console and its
// dialogs said. It says yes to every dialog.
type visitor struct {
	context.Context
	mu            sync.Mutex
	errors, asked []string
}

func visit(t *testing.T) *visitor {
	t.Helper()
	ctx, _ := chromium.Start(t, 1280, 900)
	ctx, cancel := context.WithTimeout(ctx, 4*time.Minute)
	t.Cleanup(cancel)
	v := &visitor{Context: ctx}
	chromedp.ListenTarget(ctx, v.listen)
	login := "Basic " + base64.StdEncoding.EncodeToString([]byte("admin:"+testPassword))
	v.do(t, network.Enable(), network.SetExtraHTTPHeaders(network.Headers{"Authorization": login}))
	return v
}

func (v *visitor) listen(ev any) {
	v.mu.Lock()
	defer v.mu.Unlock()
	switch e := ev.(type) {
	case *runtime.EventExceptionThrown:
		v.errors = append(v.errors, e.ExceptionDetails.Error())
	case *cdppage.EventJavascriptDialogOpening:
		v.asked = append(v.asked, e.Message)
		go func() { _ = chromedp.Run(v, cdppage.HandleJavaScriptDialog(true)) }()
	}
}

func (v *visitor) do(t *testing.T, actions ...chromedp.Action) {
	t.Helper()
	if err := chromedp.Run(v, actions...); err != nil {
		t.Fatal(err)
	}
}

// sees waits until the page says so. What is asked while another page comes is
// asked again.
func (v *visitor) sees(t *testing.T, expression string) {
	t.Helper()
	again := time.NewTicker(100 * time.Millisecond)
	defer again.Stop()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); <-again.C {
		var so bool
		if chromedp.Run(v, chromedp.Evaluate("!!("+expression+")", &so)) == nil && so {
			return
		}
	}
	var text string
	_ = chromedp.Run(v, chromedp.Evaluate(`document.body.innerText`, &text))
	t.Fatalf("never so: %s; the page says:\n%s", expression, text)
}

// look keeps a picture of the page where SHOTS says, for eyes.
func (v *visitor) look(t *testing.T, name string, width, height int64) {
	t.Helper()
	dir := os.Getenv("SHOTS")
	var wide int64 // on a phone, innerWidth grows with what is too wide
	v.do(t, emulation.SetDeviceMetricsOverride(width, height, 1, width < 600),
		chromedp.Evaluate(`document.documentElement.scrollWidth`, &wide))
	if wide > width {
		t.Errorf("%s: %d wide in a window of %d", name, wide, width)
	}
	if dir == "" {
		return
	}
	var png []byte
	v.do(t, chromedp.FullScreenshot(&png, 100))
	if err := os.WriteFile(filepath.Join(dir, name+".png"), png, 0o644); err != nil {
		t.Fatal(err)
	}
}

func (v *visitor) wasAsked(t *testing.T, words string) {
	t.Helper()
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.asked) == 0 || !strings.Contains(v.asked[len(v.asked)-1], words) {
		t.Errorf("asked %q, want a question with %q", v.asked, words)
	}
}

// fakeRecord is record's status port with its switch.
func fakeRecord(t *testing.T) (addr string, on func() bool) {
	t.Helper()
	var mu sync.Mutex
	state := true
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if r.Method == http.MethodPut {
			var body struct{ On bool }
			if json.NewDecoder(r.Body).Decode(&body) == nil {
				state = body.On
			}
		}
		_ = json.NewEncoder(w).Encode(map[string]bool{"on": state})
	}))
	t.Cleanup(web.Close)
	return web.Listener.Addr().String(), func() bool { mu.Lock(); defer mu.Unlock(); return state }
}

// portBefore is where an event has its status ports begin: record's is the
// second.
func portBefore(t *testing.T, addr string) string {
	t.Helper()
	host, port, _ := net.SplitHostPort(addr)
	n, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	return net.JoinHostPort(host, strconv.Itoa(n-1))
}

// fakeDisks has one empty disk until it is taken.
type fakeDisks struct {
	mu    sync.Mutex
	taken []string
}

func (f *fakeDisks) Disks() []disk.Disk {
	f.mu.Lock()
	defer f.mu.Unlock()
	d := disk.Disk{Name: "sda", Model: "Flash Disk", Bytes: 64e9, State: disk.Empty, Text: "empty: it can be taken for recordings"}
	if len(f.taken) > 0 {
		d.State, d.Text = disk.Mounted, ""
	}
	return []disk.Disk{d, {Name: "sdb", Bytes: 8e9, State: disk.Foreign, Text: "something else is on it"}}
}

func (f *fakeDisks) Lost() string { return "" }

func (f *fakeDisks) Take(name string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.taken = append(f.taken, name)
	return nil
}

// TestRecordingsPage does all that a person can do there, by mouse and by
// keyboard, at the size of a desk and of a phone.
func TestRecordingsPage(t *testing.T) {
	dir := recorded(t)
	record, on := fakeRecord(t)
	disks := &fakeDisks{}
	_, web := rig(t, nowhere(t), portBefore(t, record), testSecrets(t), dir, func(s *server) { s.disks = disks })
	v := visit(t)
	v.do(t, chromedp.Navigate(web.URL+"/recordings/"))
	v.sees(t, `document.querySelectorAll("#files tr").length === 3 && !document.getElementById("record").disabled`)
	v.sees(t, `document.querySelectorAll("#disks li").length === 2 && !document.getElementById("now").hidden`)
	v.look(t, "desk", 1280, 900)
	v.look(t, "phone", 390, 844)

	v.do(t, chromedp.Focus("#record"), chromedp.KeyEvent(kb.Enter))
	v.sees(t, `document.getElementById("record").textContent === "Start recording"`)
	v.wasAsked(t, "Stop recording?")
	if on() {
		t.Error("recording was not switched off")
	}
	v.look(t, "off", 390, 844)
	v.do(t, chromedp.Click("#record"))
	v.sees(t, `document.getElementById("record").textContent === "Stop recording"`)

	v.do(t, chromedp.Click("#disks button"))
	v.sees(t, `document.querySelector("#disks li").textContent.includes("recordings go there")`)
	v.wasAsked(t, "64 GB) and record to it?")
	if !slices.Equal(disks.taken, []string{"sda"}) {
		t.Errorf("taken: %v", disks.taken)
	}

	entries, err := recording.List(recording.Disk{}, dir, "box1")
	if err != nil {
		t.Fatal(err)
	}
	oldest, newest := entries[0].File, entries[2].File
	row := func(file, class string) string { return `tr[data-file="` + file + `"] ` + class }
	v.do(t, chromedp.Focus(row(oldest, ".copied")), chromedp.KeyEvent(" "))
	v.sees(t, `!document.querySelector('`+row(oldest, ".copied")+`')`)
	if list, _ := recording.List(recording.Disk{}, dir, "box1"); list[0].Acknowledged.IsZero() || !list[1].Acknowledged.IsZero() {
		t.Error("the wrong file was acknowledged")
	}
	v.do(t, chromedp.Click(row(oldest, ".delete")))
	v.sees(t, `document.querySelectorAll("#files tr").length === 2`)
	v.wasAsked(t, "Somebody has a copy.")
	v.do(t, chromedp.Click(row(newest, ".delete")))
	v.sees(t, `document.querySelectorAll("#files tr").length === 1 && !document.getElementById("answer").hidden`)
	v.wasAsked(t, "Nobody has said to have a copy")
	if left, _ := filepath.Glob(filepath.Join(dir, "box1/*.ts")); len(left) != 1 || filepath.Base(left[0]) != entries[1].File {
		t.Errorf("left: %v", left)
	}
	v.look(t, "deleted", 390, 844)
	v.cuts(t)

	web.Listener.Close()
	web.Config.SetKeepAlivesEnabled(false)
	web.CloseClientConnections()
	v.sees(t, `!document.getElementById("old").hidden && document.querySelector("main").classList.contains("stale")`)
	v.look(t, "old", 390, 844)
	if len(v.errors) > 0 {
		t.Errorf("the browser complains: %v", v.errors)
	}
}

// cuts asks for a time of which there is nothing, and for one that there is.
func (v *visitor) cuts(t *testing.T) {
	t.Helper()
	fill := func(from, to string) chromedp.Action {
		return chromedp.Evaluate(`{const f = document.forms[0]; f.from.value = "`+from+`"; f.to.value = "`+to+`"; f.requestSubmit(); true}`, nil)
	}
	v.do(t, fill("2026-11-23T12:00:00", "2026-11-23T12:00:05"))
	v.sees(t, `document.getElementById("problem")?.textContent === "Nothing is recorded of that time." && document.forms[0].from.value.startsWith("2026-11-23T12:00")`)
	v.look(t, "nothing", 390, 844)
	// A download ends the loading of what isn't there yet, so the page's scripts are.
	v.sees(t, `!document.getElementById("now").hidden`)
	got := make(chan string, 1)
	chromedp.ListenTarget(v, func(ev any) {
		if e, ok := ev.(*network.EventResponseReceived); ok && strings.Contains(e.Response.URL, "from=") && e.Response.MimeType == "video/mp2t" {
			select {
			case got <- e.Response.URL:
			default:
			}
		}
	})
	// A download ends the navigation without another page.
	v.do(t, fill("2026-11-23T10:00:11", "2026-11-23T10:00:14"))
	select {
	case <-got:
	case <-time.After(10 * time.Second):
		t.Error("the span was not downloaded")
	}
}

// TestEmptyRecordingsPage is a box before its first file, and one with very many.
func TestEmptyRecordingsPage(t *testing.T) {
	dir := t.TempDir()
	_, web := rig(t, nowhere(t), nowhere(t), testSecrets(t), dir)
	v := visit(t)
	v.do(t, chromedp.Navigate(web.URL+"/recordings/"))
	v.sees(t, `document.body.innerText.includes("Nothing has been recorded yet.") && document.querySelector("table.files").hidden`)
	v.sees(t, `document.getElementById("said").textContent.includes("record does not answer")`)
	v.look(t, "empty", 390, 844)
	if err := os.MkdirAll(filepath.Join(dir, "box1"), 0o755); err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC)
	for i := range maxShown + 20 {
		name := "box1-" + at.Add(time.Duration(i)*10*time.Minute).Format("20060102150405") + ".ts"
		if err := os.WriteFile(filepath.Join(dir, "box1", name), make([]byte, 188), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	v.sees(t, `document.querySelectorAll("#files tr").length === 300`)
	v.do(t, chromedp.Navigate(web.URL+"/recordings/"), chromedp.Click(`a[href="/recordings/?all=1"]`))
	v.sees(t, `document.querySelectorAll("#files tr").length === 320`)
	v.look(t, "many", 1280, 900)
	if len(v.errors) > 0 {
		t.Errorf("the browser complains: %v", v.errors)
	}
}
