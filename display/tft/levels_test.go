package tft

import (
	"periph.io/x/conn/v3/gpio"
	"periph.io/x/conn/v3/physic"
	"periph.io/x/conn/v3/spi"
	"periph.io/x/conn/v3/spi/spitest"
)

// levels is a recording bus that notes the data line's level at each transfer.
type levels struct {
	*spitest.Record
	line *line
	was  []gpio.Level
}

func (l *levels) Connect(f physic.Frequency, mode spi.Mode, bits int) (spi.Conn, error) {
	c, err := l.Record.Connect(f, mode, bits)
	return noting{c, l}, err
}

type noting struct {
	spi.Conn
	log *levels
}

func (n noting) Tx(w, r []byte) error {
	n.log.was = append(n.log.was, n.log.line.level)
	return n.Conn.Tx(w, r)
}
