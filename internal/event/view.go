package event

import (
	"crypto/ed25519"
	"errors"

	"github.com/goccy/go-yaml"
)

// View is the event as boxes get it: without secrets and users. With an event
// key it also holds the box's user and password hash, which a box believes only
// under the key's signature, and sig is the detached ed25519 signature of the
// view's bytes; without one sig is nil.
func (e *Event) View() (view, sig []byte, err error) {
	s := e.file
	s.Secrets = ""
	s.Box = nil
	key := e.Secrets.EventKey
	if login := e.Secrets.Box; key != nil && login.Bcrypt != "" {
		s.Box = &viewLogin{User: login.User, Bcrypt: login.Bcrypt}
	}
	view, err = yaml.Marshal(s)
	if err != nil || key == nil {
		return view, nil, err
	}
	return view, Sign(view, key), nil
}

// ErrSignature is what Verify returns for a view that the key didn't sign.
var ErrSignature = errors.New("event view: the signature is not the event key's; check that mixer-host has the key this box was given")

// Sign signs a view.
func Sign(view []byte, key ed25519.PrivateKey) []byte {
	return ed25519.Sign(key, view)
}

// Verify checks a view's signature: nil or ErrSignature.
func Verify(view, sig []byte, key ed25519.PublicKey) error {
	if len(key) != ed25519.PublicKeySize || !ed25519.Verify(key, view, sig) {
		return ErrSignature
	}
	return nil
}
