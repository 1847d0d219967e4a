package main

import (
	"os"
	"testing"
	"time"
)

// scratch holds the built program.
var scratch string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "tstee")
	if err != nil {
		panic(err)
	}
	scratch = dir
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

func TestLoad28(t *testing.T) {
	l := measure(t, startTstee(t), 28, 0, 6*time.Second)
	t.Log(l)
	if p := os.Getenv("SPROXY"); p != "" {
		t.Log("sproxy", measure(t, start(t, p), 28, 0, 6*time.Second))
	}
}

func TestLoad500(t *testing.T) {
	l := measure(t, startTstee(t), 500, 20, 8*time.Second)
	t.Log(l)
}
