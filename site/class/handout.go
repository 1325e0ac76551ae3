package class

import (
	"bytes"
	"fmt"
	"html/template"
	"strings"

	"rsc.io/qr"

	"github.com/kindlab/kindlab/labs"
)

// A Link is the personal link of a person.
type Link struct {
	labs.Person
	Instructor bool
	URL        string
}

// A Handout is what is printed for a class.
type Handout struct {
	Class  string
	Course string // its title
	Hub    string // the hub's address, such as http://192.168.1.10:8480
	Code   string // of the class; empty for none
	Links  []Link

	Machines bool // attendees join with a machine of their own
}

// A card is a link with its QR code.
type card struct {
	Link
	QR template.HTML
}

func newCard(l Link) (card, error) {
	code, err := qrCode(l.URL)
	return card{l, code}, err
}

// HTML is one self-contained file: nothing in it leads elsewhere but the links.
func (o Handout) HTML() ([]byte, error) {
	t, err := template.ParseFS(files, "templates/handout.html")
	if err != nil {
		return nil, err
	}
	view := struct {
		Handout
		Enter                  card
		Attendees, Instructors []card
	}{Handout: o}
	if o.Code != "" {
		if view.Enter, err = newCard(Link{URL: strings.TrimSuffix(o.Hub, "/") + "/in?code=" + o.Code}); err != nil {
			return nil, err
		}
	}
	for _, l := range o.Links {
		c, err := newCard(l)
		if err != nil {
			return nil, fmt.Errorf("the link of %s: %w", l.ID, err)
		}
		if l.Instructor {
			view.Instructors = append(view.Instructors, c)
		} else {
			view.Attendees = append(view.Attendees, c)
		}
	}
	var b bytes.Buffer
	err = t.Execute(&b, view)
	return b.Bytes(), err
}

// qrCode is a QR code as an image in the page, sharp at any size.
func qrCode(text string) (template.HTML, error) {
	code, err := qr.Encode(text, qr.M)
	if err != nil {
		return "", fmt.Errorf("making a QR code: %w", err)
	}
	const quiet = 4 // modules of margin, which scanners want
	size := code.Size + 2*quiet
	var b strings.Builder
	fmt.Fprintf(&b, `<svg class="qr" viewBox="0 0 %d %d" shape-rendering="crispEdges" role="img" aria-label="QR code of the link"><path fill="#fff" d="M0 0h%dv%dH0z"/><path fill="#000" d="`, size, size, size, size)
	for y := range code.Size {
		for x := 0; x < code.Size; x++ {
			from := x
			for code.Black(x, y) {
				x++
			}
			if x > from {
				fmt.Fprintf(&b, "M%d %dh%dv1H%dz", from+quiet, y+quiet, x-from, from+quiet)
			}
		}
	}
	b.WriteString(`"/></svg>`)
	return template.HTML(b.String()), nil
}
