package update

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"
)

const (
	maxSchedule = 16 << 20 // FOSDEM's has 3 MB
	askSchedule = 5 * time.Second
	// freshSchedule is for how long one that was fetched isn't asked for again.
	freshSchedule = 5 * time.Minute
	// retrySchedule is for how long one that could not be had isn't asked for
	// again: whoever asks for the box's status would wait for it each time.
	retrySchedule = time.Minute
	// before is how long before a talk the room counts as in use.
	before = 5 * time.Minute
)

// Schedule is an event's, as pentabarf XML (frab's and pretalx's schedule.xml),
// fetched when it is needed.
type Schedule struct {
	Client *http.Client
	// Where gives the URL, "" for none, and the box's room.
	Where func() (url, room string)
	// InSync says whether the clock that Talk is asked by can be believed.
	InSync func() bool

	mu     sync.Mutex
	url    string
	talks  []talk
	at     time.Time
	missed missed
}

// missed is the last time that a schedule could not be had.
type missed struct {
	url string
	at  time.Time
	err error
}

// ErrClock is what Talk says where it finds no talk by a clock that isn't right.
var ErrClock = errors.New("the clock is not right yet, so nobody knows whether there is a talk")

// talk is one of the schedule.
type talk struct {
	room, title string
	from, to    time.Time
}

// Talk is the talk in the box's room at a time or soon after, or "". An error with
// it tells why there may be one all the same.
func (s *Schedule) Talk(ctx context.Context, at time.Time) (string, error) {
	url, room := s.Where()
	if url == "" || room == "" {
		return "", nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var err error
	if url != s.url || at.Sub(s.at).Abs() > freshSchedule {
		err = s.renew(ctx, url, at)
	}
	if url != s.url {
		return "", err // another event's says nothing
	}
	for _, t := range s.talks {
		if sameRoom(t.room, room) && !at.Before(t.from.Add(-before)) && at.Before(t.to) {
			return fmt.Sprintf("%s, until %s UTC", t.title, t.to.UTC().Format("15:04")), nil
		}
	}
	if err == nil && !s.InSync() {
		err = ErrClock
	}
	return "", err
}

// renew fetches, but not soon after it has failed. That somebody has stopped
// asking says nothing about the schedule.
func (s *Schedule) renew(ctx context.Context, url string, at time.Time) error {
	if m := s.missed; m.url == url && at.Sub(m.at).Abs() < retrySchedule {
		return m.err
	}
	err := s.fetch(ctx, url, at)
	if ctx.Err() == nil && err != nil {
		s.missed = missed{url, at, err}
	}
	return err
}

// fetch keeps what it had when there is nothing better.
func (s *Schedule) fetch(ctx context.Context, url string, at time.Time) error {
	ctx, cancel := context.WithTimeout(ctx, askSchedule)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := s.Client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s", url, resp.Status)
	}
	talks, err := readTalks(io.LimitReader(resp.Body, maxSchedule))
	if err == nil {
		s.url, s.talks, s.at = url, talks, at
	}
	return err
}

// readTalks reads <event> elements: date (RFC 3339), duration (HH:MM), room,
// title. Those without a date of that form are passed over.
func readTalks(r io.Reader) (list []talk, err error) {
	d := xml.NewDecoder(r)
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) && len(list) > 0 {
			return list, nil
		}
		if err != nil {
			return nil, fmt.Errorf("the schedule: %w", err)
		}
		start, ok := token.(xml.StartElement)
		if !ok || start.Name.Local != "event" {
			continue
		}
		var e struct {
			Date     string `xml:"date"`
			Duration string `xml:"duration"`
			Room     string `xml:"room"`
			Title    string `xml:"title"`
		}
		if err := d.DecodeElement(&e, &start); err != nil {
			return nil, fmt.Errorf("the schedule: %w", err)
		}
		from, terr := time.Parse(time.RFC3339, strings.TrimSpace(e.Date))
		length, derr := hours(e.Duration)
		if terr == nil && derr == nil {
			list = append(list, talk{e.Room, e.Title, from, from.Add(length)})
		}
	}
}

func hours(text string) (time.Duration, error) {
	h, m, _ := strings.Cut(strings.TrimSpace(text), ":")
	hour, herr := strconv.Atoi(h)
	minute, merr := strconv.Atoi(m)
	return time.Duration(hour)*time.Hour + time.Duration(minute)*time.Minute, errors.Join(herr, merr)
}

var inBrackets = regexp.MustCompile(`\([^)]*\)`)

// sameRoom compares "K.1.105 (La Fontaine)" with an event file's name such as
// k1105 or k1105-la-fontaine.
func sameRoom(scheduled, ours string) bool {
	bare := func(s string) string {
		return strings.Map(func(r rune) rune {
			if unicode.IsLetter(r) || unicode.IsDigit(r) {
				return unicode.ToLower(r)
			}
			return -1
		}, s)
	}
	return bare(scheduled) == bare(ours) || bare(inBrackets.ReplaceAllString(scheduled, "")) == bare(ours)
}
