package main

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// fakeInit answers what init's page would, and tells who asked for what.
type fakeInit struct{ came chan string }

func startInit(t *testing.T) *fakeInit {
	t.Helper()
	f := &fakeInit{make(chan string, 1000)}
	old := initSocket
	initSocket = filepath.Join(t.TempDir(), "init.sock")
	l, err := net.Listen("unix", initSocket)
	if err != nil {
		t.Fatal(err)
	}
	s := &httptest.Server{Listener: l, Config: &http.Server{Handler: f}}
	s.Start()
	t.Cleanup(func() { s.Close(); initSocket = old })
	return f
}

func (f *fakeInit) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.came <- r.Method + " " + r.URL.Path
	n, _ := io.Copy(io.Discard, r.Body)
	switch {
	case r.URL.Path == "/":
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, `{"BuildTimestamp": "2027-01-30T10:00:00Z", "EEPROM": {"PieepromSHA256": "abc"}, "Hostname": "secret-host", "Services": [1]}`)
	case r.URL.Path == "/update/features":
		io.WriteString(w, "partuuid,updatehash,")
	case strings.HasPrefix(r.URL.Path, "/update/") && n > 0:
		io.WriteString(w, "d202ef8d") // CRC-32 of one zero byte
	}
}

// asked is what init was asked since the last time; with wait, at least one.
func (f *fakeInit) asked(t *testing.T, wait bool) (seen []string) {
	t.Helper()
	if wait {
		select {
		case s := <-f.came:
			seen = append(seen, s)
		case <-time.After(10 * time.Second):
			t.Fatal("nothing came to init")
		}
	}
	for len(f.came) > 0 {
		seen = append(seen, <-f.came)
	}
	return seen
}

// TestNothingElseOfInit asks a box for everything that gokrazy's page has
// (gokrazy's status.go, supervise.go, update.go), with the credentials and
// without: only what `gok update` needs comes to init, and only with them.
func TestNothingElseOfInit(t *testing.T) {
	f := startInit(t)
	_, web := rig(t, nowhere(t), nowhere(t), testSecrets(t), t.TempDir())
	client := web.Client()
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	ask := func(method, path, password string) int {
		t.Helper()
		// Opaque keeps the path as it is written here.
		req, err := http.NewRequestWithContext(t.Context(), method, web.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.URL.Opaque = path
		if password != "" {
			req.SetBasicAuth("admin", password)
		}
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		return resp.StatusCode
	}
	passes := map[string]bool{
		"GET /update/features": true, "PUT /update/root": true, "PUT /update/boot": true, "PUT /update/mbr": true,
		"POST /update/switch": true, "POST /update/testboot": true, "POST /reboot": true,
	}
	for _, path := range []string{
		"/status", "/assets/", "/assets/bootstrap.min.css", "/log", "/log?path=/user/boxd&stream=stderr", "/stop", "/restart", "/poweroff", "/divert",
		"/uploadtemp/", "/uploadtemp/gok-run/x", "/debug/pprof/", "/metrics.init",
		"/update", "/update/", "/update/features", "/update/root", "/update/boot", "/update/bootonly", "/update/mbr", "/update/switch", "/update/testboot",
		"/update/device-specific/x", "/reboot",
		"/update/../poweroff", "/update/%2e%2e/poweroff", "/update/..%2fpoweroff", "/update/root/../../divert", "//poweroff", "/%70oweroff", "/update/root/",
	} {
		for _, method := range []string{"GET", "POST", "PUT", "DELETE"} {
			for _, password := range []string{testPassword, "wrong", ""} {
				may := passes[method+" "+path]
				code := ask(method, path, password)
				seen := f.asked(t, may && code == http.StatusOK)
				switch {
				case may && password == testPassword:
					if code != http.StatusOK || len(seen) != 1 || seen[0] != method+" "+path {
						t.Errorf("%s %s: %d, init was asked %q", method, path, code, seen)
					}
				case len(seen) > 0:
					t.Errorf("%s %s with password %q came to init as %q", method, path, password, seen)
				case may && code != http.StatusUnauthorized:
					t.Errorf("%s %s with password %q: %d, want 401", method, path, password, code)
				case !may && code < 300:
					t.Errorf("%s %s: %d, want an error", method, path, code)
				case !may && strings.HasPrefix(path, "/update/") && !strings.ContainsAny(path[1:], ".%") && code != http.StatusNotFound && code != http.StatusMethodNotAllowed:
					t.Errorf("%s %s: %d, want 404 or 405", method, path, code)
				}
			}
		}
	}
}

// TestGokUpdates asks for what gok asks, one after the other (gokrazy/updater
// v0.0.0-20250705). gok itself updates a box in images/vm.
func TestGokUpdates(t *testing.T) {
	f := startInit(t)
	_, web := rig(t, nowhere(t), nowhere(t), testSecrets(t), t.TempDir())
	for _, c := range []struct{ method, path, body, answer string }{
		{"GET", "/update/features", "", "partuuid,updatehash,"},
		{"PUT", "/update/root", "\x00", "d202ef8d"},
		{"PUT", "/update/boot", "\x00", "d202ef8d"},
		{"PUT", "/update/mbr", "\x00", "d202ef8d"},
		{"POST", "/update/switch", "", ""},
		{"POST", "/reboot?kexec=off", "", ""},
	} {
		req, err := http.NewRequestWithContext(t.Context(), c.method, web.URL+c.path, strings.NewReader(c.body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("X-Gokrazy-Update-Hash", "crc32")
		req.SetBasicAuth("admin", testPassword)
		resp, err := web.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		path, _, _ := strings.Cut(c.path, "?")
		if seen := f.asked(t, true); resp.StatusCode != 200 || string(body) != c.answer || len(seen) != 1 || seen[0] != c.method+" "+path {
			t.Errorf("%s: %d %q; init was asked %q", c.path, resp.StatusCode, body, seen)
		}
	}
}

// TestGokStatus gives gok two facts, and a browser the page.
func TestGokStatus(t *testing.T) {
	f := startInit(t)
	_, web := rig(t, nowhere(t), nowhere(t), testSecrets(t), t.TempDir())
	ask := func(accept, password string) (int, string) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, web.URL+"/", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Accept", accept)
		if password != "" {
			req.SetBasicAuth("admin", password)
		}
		resp, err := web.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, _ := io.ReadAll(resp.Body)
		return resp.StatusCode, string(body)
	}
	if code, body := ask("application/json", testPassword); code != 200 || body != `{"BuildTimestamp":"2027-01-30T10:00:00Z","EEPROM":{"PieepromSHA256":"abc"}}`+"\n" {
		t.Errorf("gok: %d %q", code, body)
	}
	f.asked(t, true)
	if code, _ := ask("application/json", ""); code != http.StatusUnauthorized || len(f.asked(t, false)) > 0 {
		t.Errorf("without credentials: %d", code)
	}
	for _, accept := range []string{"", "*/*", "text/html,application/xhtml+xml"} {
		if code, body := ask(accept, ""); code != 200 || !strings.Contains(body, "<html") || len(f.asked(t, false)) > 0 {
			t.Errorf("a browser (%q): %d %.80q", accept, code, body)
		}
	}
}
