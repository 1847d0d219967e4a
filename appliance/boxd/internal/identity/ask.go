package identity

import (
	"context"
	"errors"
	"log/slog"
	neturl "net/url"
	"slices"
	"time"
)

// askForEver looks for the event's view until the context ends.
func (i *Identity) askForEver(ctx context.Context) error {
	for {
		i.ask(ctx)
		wait := askAgain
		if i.Status().Asked.IsZero() && !i.informed() && i.age() < askOften {
			wait = askSoon
		}
		if err := i.pause(ctx, wait, nil); err != nil {
			return err
		}
	}
}

// ask goes through those who may have a view. The first that lists this box
// counts. One that doesn't is better than none, but never replaces another
// event's that does.
func (i *Identity) ask(ctx context.Context) {
	i.mu.Lock()
	local, current, cfg := i.local != nil, i.view, i.cfg
	i.mu.Unlock()
	if local {
		return
	}
	key, err := i.key()
	i.cause("event key", errText(err))
	if err != nil {
		return // without the key nothing could be believed
	}
	var other *view
	for url := range i.candidates(ctx, cfg.Control, current) {
		tag := ""
		if current != nil && current.url == url {
			tag = current.tag
		}
		v, err := i.fetch(ctx, url, tag, key)
		if ctx.Err() != nil {
			return
		}
		if errors.Is(err, errUnchanged) {
			v, err = current, nil
		}
		i.refuse(url, err, cfg.Control != "")
		switch {
		case err != nil:
		case v.lists(i.nic.MAC, cfg.Name):
			i.take(v)
			return
		case other == nil:
			other = v
		}
	}
	if other != nil && (current == nil || !current.lists(i.nic.MAC, cfg.Name) || current.event.Name == other.event.Name) {
		i.take(other)
	}
}

// candidates are URLs of views, one after the other: who has a better one is
// not asked for the rest.
func (i *Identity) candidates(ctx context.Context, control string, current *view) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		if control != "" {
			yield(control)
			return
		}
		var asked []string
		each := func(urls []string) bool {
			for _, u := range urls {
				if !slices.Contains(asked, u) && !yield(u) {
					return false
				}
				asked = append(asked, u)
			}
			return true
		}
		if current != nil && current.tag != "" && !each([]string{current.url}) {
			return
		}
		found, err := i.o.Lookup(ctx)
		i.cause("discovery", errText(err))
		_ = each(found) && each(i.o.Fallback)
	}
}

func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// refuse notes why a view doesn't count. That nobody is there is no fault of
// a box, unless it was told whom to ask: at home there is no event.
func (i *Identity) refuse(url string, err error, told bool) {
	var none *neturl.Error
	text := errText(err)
	if errors.As(err, &none) && !told {
		text = ""
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if text == i.refused[url] {
		return
	}
	delete(i.refused, url)
	if text == "" {
		return
	}
	slog.Warn("event view refused; what was known stays", "url", url, "err", err)
	if len(i.refused) < maxRefused {
		i.refused[url] = text
	}
}

// maxRefused bounds what is remembered: who is in the network may be anybody.
const maxRefused = 8

// take makes a view the one that counts, and keeps it over a restart.
func (i *Identity) take(v *view) {
	i.mu.Lock()
	old := i.view
	same := old != nil && string(old.data) == string(v.data) && string(old.sig) == string(v.sig)
	i.view = v
	i.now.Asked = time.Now().UTC()
	i.mu.Unlock()
	if !same {
		slog.Info("event view", "event", v.event.Name, "from", v.url, "signed", v.signed, "lists this box", v.lists(i.nic.MAC, ""))
	}
	if i.permReady() {
		i.keep(v)
	}
	i.touch()
}
