package identity

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/openvideobox/videobox/internal/event"
)

const (
	// maxView is more than the event of a conference with 35 rooms needs by far,
	// and as much as event reads.
	maxView    = 256 << 10
	askTimeout = 5 * time.Second
)

// view is an event as a mixer host tells it.
type view struct {
	event  *event.Event
	data   []byte
	sig    []byte
	url    string // or the file it was kept in
	tag    string // ETag
	signed bool   // by the key this box has
}

// lists says whether the event knows the box.
func (v *view) lists(mac net.HardwareAddr, name string) bool {
	if _, err := v.event.BoxByMAC(mac); err == nil {
		return true
	}
	_, err := v.event.Box(name)
	return name != "" && err == nil
}

// newView checks a view: the signature first, if there is a key, then all that
// an event file must be. What a box would believe only if it is signed is left
// out where it isn't.
func newView(data, sig []byte, key ed25519.PublicKey) (*view, error) {
	if key != nil {
		if err := event.Verify(data, sig, key); err != nil {
			return nil, err
		}
	}
	e, err := event.ParseView(data)
	if err != nil {
		return nil, err
	}
	if key == nil {
		e.Secrets = event.Secrets{}
	}
	return &view{event: e, data: data, sig: sig, signed: key != nil}, nil
}

// errUnchanged is the answer to a tag that is still right.
var errUnchanged = errors.New("unchanged")

// fetch asks for a view. With the tag of one that is known already it may
// answer errUnchanged.
func (i *Identity) fetch(ctx context.Context, url, tag string, key ed25519.PublicKey) (*view, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	resp, data, err := i.get(ctx, url, tag)
	if err != nil {
		return nil, err
	}
	sig, err := hex.DecodeString(resp.Header.Get("X-Signature-Ed25519"))
	if err != nil {
		return nil, fmt.Errorf("its signature is no hexadecimal number: %w", err)
	}
	if key != nil && len(sig) == 0 { // from a server that knows files only
		if _, sig, err = i.get(ctx, url+".sig", ""); err != nil {
			return nil, fmt.Errorf("it is not signed, and this box has an event key: %w", err)
		}
		if raw, err := hex.DecodeString(strings.TrimSpace(string(sig))); err == nil {
			sig = raw
		}
	}
	v, err := newView(data, sig, key)
	if err != nil {
		return nil, err
	}
	v.url, v.tag = url, resp.Header.Get("ETag")
	return v, nil
}

// get reads a body whole, of a length that the server has said, so that one
// that was cut off isn't taken for a shorter one.
func (i *Identity) get(ctx context.Context, url, tag string) (*http.Response, []byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, nil, err
	}
	if tag != "" {
		req.Header.Set("If-None-Match", tag)
	}
	resp, err := i.o.Client.Do(req)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	chunked := len(resp.TransferEncoding) > 0
	switch {
	case resp.StatusCode == http.StatusNotModified && tag != "":
		return nil, nil, errUnchanged
	case resp.StatusCode != http.StatusOK:
		return nil, nil, fmt.Errorf("%s answers %s", url, resp.Status)
	case resp.ContentLength < 0 && !chunked && !resp.Uncompressed:
		return nil, nil, fmt.Errorf("%s doesn't say how long its answer is", url)
	}
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxView+1))
	switch {
	case err != nil:
		return nil, nil, fmt.Errorf("%s: cut off after %d bytes: %w", url, len(data), err)
	case len(data) > maxView:
		return nil, nil, fmt.Errorf("%s: more than %d KiB; this is no event's view", url, maxView>>10)
	}
	return resp, data, nil
}

// key is the event's public key: of videobox.yaml, else of the image.
func (i *Identity) key() (ed25519.PublicKey, error) {
	i.mu.Lock()
	key := i.cfg.EventKey
	i.mu.Unlock()
	if key != nil {
		return key, nil
	}
	path := filepath.Join(i.o.Etc, "event_key")
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	raw, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(text)))
	if err != nil || len(raw) != ed25519.PublicKeySize {
		return nil, fmt.Errorf("%s is no ed25519 public key; it must be 32 bytes in base64", path)
	}
	return raw, nil
}
