package control

import (
	"crypto/ed25519"
	"encoding/hex"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/openvideobox/videobox/internal/event"
)

// asked is what a box gets for a path.
func asked(t *testing.T, v *view, path, known string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), "GET", path, nil)
	if known != "" {
		r.Header.Set("If-None-Match", known)
	}
	w := httptest.NewRecorder()
	v.ServeHTTP(w, r)
	return w
}

func TestViewIsSignedAndSentOnce(t *testing.T) {
	e, err := event.Parse("event.yaml", []byte(eventText))
	if err != nil {
		t.Fatal(err)
	}
	unsigned := newView(e)
	if w := asked(t, unsigned, "/event.yaml", ""); w.Code != http.StatusOK || w.Header().Get("X-Signature-Ed25519") != "" {
		t.Errorf("unsigned: %d %v", w.Code, w.Header())
	}
	if w := asked(t, unsigned, "/event.yaml.sig", ""); w.Code != http.StatusNotFound {
		t.Errorf("a signature without a key: %d", w.Code)
	}
	key := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	e.Secrets.EventKey = key
	v := newView(e)
	w := asked(t, v, "/event.yaml", "")
	sig, err := hex.DecodeString(w.Header().Get("X-Signature-Ed25519"))
	if err != nil || event.Verify(w.Body.Bytes(), sig, key.Public().(ed25519.PublicKey)) != nil {
		t.Errorf("signature %x, %v", sig, err)
	}
	if s := asked(t, v, "/event.yaml.sig", ""); s.Body.String() != string(sig) {
		t.Errorf("the signature alone: %x, want %x", s.Body, sig)
	}
	tag := w.Header().Get("ETag")
	if again := asked(t, v, "/event.yaml", tag); again.Code != http.StatusNotModified || again.Body.Len() != 0 {
		t.Errorf("asked again: %d, %d bytes", again.Code, again.Body.Len())
	}
	if tag == unsigned.tag {
		t.Error("a signature changes nothing of the tag")
	}
}
