package main

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/bcrypt"

	"github.com/openvideobox/videobox/internal/event"
)

func TestSystemIsHandedOnToThoseWhoMay(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "init.sock")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	initd := &httptest.Server{Listener: listener, Config: &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		io.WriteString(w, strings.Join([]string{r.Method, r.URL.String(), string(body), r.Header.Get("Authorization")}, " "))
	})}}
	initd.Start()
	defer initd.Close()
	hash, err := bcrypt.GenerateFromPassword([]byte("secret"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	locked := newLock(event.BoxLogin{User: "box", Bcrypt: string(hash)})
	for _, c := range []struct {
		name, socket, password, site string
		lock                         *lock
		code                         int
		answer                       string
	}{
		{"right", socket, "secret", "", locked, 200, "PUT /update/root?x=1 image "},
		{"wrong password", socket, "wrong", "", locked, 401, ""},
		{"no password", socket, "", "", locked, 401, ""},
		{"another site's page", socket, "secret", "cross-site", locked, 403, ""},
		{"no credentials set", socket, "secret", "", newLock(event.BoxLogin{}), 403, ""},
		{"no such system", socket + "2", "secret", "", locked, 502, ""},
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPut, "/update/root?x=1", strings.NewReader("image"))
		r.Header.Set("Sec-Fetch-Site", c.site)
		if c.password != "" {
			r.SetBasicAuth("box", c.password)
		}
		w := httptest.NewRecorder()
		system(c.lock, c.socket).ServeHTTP(w, r)
		if w.Code != c.code || c.answer != "" && w.Body.String() != c.answer {
			t.Errorf("%s: %d %q, want %d %q", c.name, w.Code, w.Body, c.code, c.answer)
		}
	}
}
