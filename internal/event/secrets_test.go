package event

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
)

const hash = "$2y$10$abcdefghijklmnopqrstuvABCDEFGHIJKLMNOPQRSTUVWXYZ01234"

func TestSecrets(t *testing.T) {
	e, err := Load("testdata/example.yaml")
	if err != nil {
		t.Fatal(err)
	}
	seed := make([]byte, 32)
	for i := range seed {
		seed[i] = byte(i)
	}
	want := Secrets{
		PublishKey: "a key with / and &",
		Box:        BoxLogin{"admin", hash, "only for tests"},
		EventKey:   ed25519.NewKeyFromSeed(seed), UpdateKey: seed,
		Users: []User{{"director", hash, []string{"*"}}, {"janson", hash, []string{"janson"}}},
	}
	if !reflect.DeepEqual(e.Secrets, want) {
		t.Errorf("got %#v\nwant %#v", e.Secrets, want)
	}
	director, janson := e.Secrets.Users[0], e.Secrets.Users[1]
	if !director.May("any") || !janson.May("janson") || janson.May("any") {
		t.Error("users may control the wrong rooms")
	}
	if shown := fmt.Sprint(e); strings.Contains(shown, "only for tests") {
		t.Errorf("printing the event shows a password: %s", shown)
	}
}

func TestInvalidSecrets(t *testing.T) {
	e := load(t, small)
	for _, c := range []struct{ name, text, want string }{
		{"unknown key", "publish_keys: x\n", `1: unknown key "publish_keys"; did you mean "publish_key"?`},
		{"keys", "event_key: short\nupdate_key: \"AAEC\"\n",
			`1: event_key is no ed25519 private key; it must be 32 or 64 bytes in base64
2: update_key is no ed25519 public key; it must be 32 bytes in base64`},
		{"password for hash", "box: {user: admin, bcrypt: hunter2}\n", `1: box.bcrypt is no bcrypt hash; make one with htpasswd -nB NAME`},
		{"box without user", "box: {password: x}\n", `1: box has no user; add user: admin`},
		{"user", "users:\n  - {bcrypt: \"" + hash + "\", rooms: [demo, nosuch]}\n",
			`2: a user without a name; add name: NAME
2: user  may control room "nosuch", which event.yaml doesn't have`},
		{"user twice", "users:\n  - {name: a, bcrypt: \"" + hash + "\", rooms: [demo]}\n  - {name: a, bcrypt: \"" + hash + "\"}\n",
			`3: user a is given twice; remove one
3: user a has no rooms; add rooms: ["*"] for all`},
	} {
		_, err := parseSecrets("s.yaml", []byte(c.text), e)
		got := ""
		if err != nil {
			got = strings.ReplaceAll("\n"+err.Error(), "\ns.yaml:", "\n")[1:]
		}
		if got != c.want {
			t.Errorf("%s: got\n%s\nwant\n%s", c.name, got, c.want)
		}
	}
}

func TestView(t *testing.T) {
	e, err := Load("testdata/example.yaml")
	if err != nil {
		t.Fatal(err)
	}
	view, sig, err := e.View()
	if err != nil {
		t.Fatal(err)
	}
	public := e.Secrets.EventKey.Public().(ed25519.PublicKey)
	if err := Verify(view, sig, public); err != nil {
		t.Error(err)
	}
	if err := Verify(bytes.Replace(view, []byte("box1"), []byte("box7"), 1), sig, public); !errors.Is(err, ErrSignature) {
		t.Errorf("a changed view: %v", err)
	}
	if err := Verify(view, sig, nil); !errors.Is(err, ErrSignature) {
		t.Errorf("no key: %v", err)
	}
	for _, secret := range []string{e.Secrets.PublishKey, e.Secrets.Box.Password, "director", "AAEC", "event.secrets"} {
		if bytes.Contains(view, []byte(secret)) {
			t.Errorf("the view holds %q:\n%s", secret, view)
		}
	}
	got, err := ParseView(view)
	if err != nil {
		t.Fatalf("%v in\n%s", err, view)
	}
	if want := (BoxLogin{User: "admin", Bcrypt: hash}); got.Secrets.Box != want {
		t.Errorf("login %+v, want %+v", got.Secrets.Box, want)
	}
	// What programs see is the same, but for what a view leaves out.
	got.Path, got.Dir, got.Secrets, got.file = e.Path, e.Dir, e.Secrets, e.file
	for i := range got.Origins {
		got.Origins[i].key = e.Secrets.PublishKey
	}
	for i := range got.Rooms {
		got.Rooms[i].Background, got.Rooms[i].Logo = e.Rooms[i].Background, e.Rooms[i].Logo
	}
	if !reflect.DeepEqual(got, e) {
		t.Errorf("the view says\n%+v\nthe event\n%+v", got, e)
	}
}

func TestViewWithoutKeyIsUnsignedAndHasNoHash(t *testing.T) {
	e := load(t, small)
	e.Secrets.Box = BoxLogin{User: "admin", Bcrypt: hash}
	view, sig, err := e.View()
	if err != nil || sig != nil {
		t.Errorf("signature %x, %v", sig, err)
	}
	if bytes.Contains(view, []byte("$2y$")) {
		t.Errorf("an unsigned view holds a hash:\n%s", view)
	}
}
