package hardware

import (
	_ "embed"
	"fmt"
	"sync"

	"github.com/goccy/go-yaml"
)

//go:embed claims.yaml
var topics []byte

// Topic is a thing that is no part with a profile: a way to loop HDMI through, EDIDs.
type Topic struct {
	Part   string  `yaml:"part"`
	Does   string  `yaml:"does"` // what it is, for a person who has to choose
	Claims []Claim `yaml:"claims"`
}

// Topics are all of them.
var Topics = sync.OnceValue(func() []Topic {
	t, err := parseTopics(topics)
	if err != nil {
		panic(err) // it is part of the program, and a test reads it
	}
	return t
})

// parseTopics reads topics; keys that it doesn't know are errors.
func parseTopics(data []byte) (all []Topic, err error) {
	if err := yaml.UnmarshalWithOptions(data, &all, yaml.Strict()); err != nil {
		return nil, fmt.Errorf("claims.yaml: %w", err)
	}
	for _, t := range all {
		if t.Part == "" || t.Does == "" {
			return nil, fmt.Errorf("claims.yaml: %q: part and does must be given", t.Part)
		}
		if err := checkAll(t.Claims); err != nil {
			return nil, fmt.Errorf("claims.yaml: %s: %w", t.Part, err)
		}
	}
	return all, nil
}

// About is a part with what is said of it.
type About struct {
	Part   string
	Claims []Claim
}

// Claims are all that is said in any file.
func Claims() (all []About) {
	for _, p := range Parts() {
		all = append(all, About{p.Name, p.Claims})
	}
	for _, b := range Boards() {
		all = append(all, About{"board " + b.Model, b.Claims})
	}
	for _, s := range Sticks() {
		all = append(all, About{"stick " + s.Name, s.Claims})
	}
	for _, p := range Panels() {
		all = append(all, About{"panel " + p.Name, p.Claims})
	}
	all = append(all, About{"header", Wires().Claims})
	for _, h := range Wires().Panels {
		all = append(all, About{"wires to " + h.Panel, h.Claims})
	}
	for _, t := range Topics() {
		all = append(all, About{t.Part, t.Claims})
	}
	return all
}

// Count says how many claims are known in which way.
func Count() (by map[Known]int, all int) {
	by = map[Known]int{}
	for _, a := range Claims() {
		for _, c := range a.Claims {
			by[c.Known]++
		}
		all += len(a.Claims)
	}
	return by, all
}
