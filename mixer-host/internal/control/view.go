package control

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/openvideobox/videobox/internal/event"
)

// view serves the event as boxes get it, with its signature in a header, and
// that alone at a path that ends in .sig. Boxes ask twice a minute: who knows
// it already gets no body.
type view struct {
	data, sig []byte
	tag       string
	err       error
}

func newView(e *event.Event) *view {
	v := &view{}
	v.data, v.sig, v.err = e.View()
	v.tag = fmt.Sprintf(`"%x"`, sha256.Sum256(append(v.sig[:len(v.sig):len(v.sig)], v.data...)))
	return v
}

func (v *view) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, kind := v.data, "application/yaml"
	if strings.HasSuffix(r.URL.Path, ".sig") {
		body, kind = v.sig, "application/octet-stream"
	}
	switch {
	case v.err != nil:
		refuse(w, http.StatusInternalServerError, v.err)
		return
	case body == nil:
		refuse(w, http.StatusNotFound, fmt.Errorf("the event has no event_key among its secrets, so its view is not signed"))
		return
	}
	h := w.Header()
	h.Set("Content-Type", kind)
	h.Set("Cache-Control", "no-cache")
	h.Set("ETag", v.tag)
	if v.sig != nil {
		h.Set("X-Signature-Ed25519", fmt.Sprintf("%x", v.sig))
	}
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(body))
}
