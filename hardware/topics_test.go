package hardware

import (
	"strings"
	"testing"
)

func TestTopics(t *testing.T) {
	if _, err := parseTopics(topics); err != nil {
		t.Fatal(err)
	}
	for want, bad := range map[string]string{
		"part and does": "- {part: x, claims: [{says: x, known: unverified}]}",
		"claims must":   "- {part: x, does: y}",
		"unknown":       "- {part: x, does: y, tested: true}",
		"one of":        "- {part: x, does: y, claims: [{says: x, known: yes}]}",
	} {
		if _, err := parseTopics([]byte(bad)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

// Nothing is counted twice or left out.
func TestCount(t *testing.T) {
	by, all := Count()
	n := 0
	for _, k := range Ways {
		n += by[k]
	}
	if n != all || all < 80 {
		t.Errorf("%d by way, %d in all", n, all)
	}
}
