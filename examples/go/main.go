// Publishes an email.send job to Warren and waits until the broker has it.
//
//	go run . [-id UUID] TO SUBJECT TEXT
package main

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

const contract = "email.send"

// A queue without a majority of its nodes neither confirms nor refuses.
const confirmTimeout = 10 * time.Second

var (
	errUnroutable = errors.New("no queue takes " + contract + ". Has `npm run migrate` been run?")
	errRefused    = errors.New("the broker refused it. Is the queue full?")
)

func main() {
	id := flag.String("id", "", "the id of an earlier try that may have failed")
	flag.Usage = func() {
		fmt.Fprintln(os.Stderr, "Usage: send-email [-id UUID] TO SUBJECT TEXT")
	}
	flag.Parse()
	if flag.NArg() != 3 {
		flag.Usage()
		os.Exit(2)
	}
	if *id == "" {
		*id = uuid7()
	}

	ctx, cancel := context.WithTimeout(context.Background(), confirmTimeout)
	defer cancel()
	err := publish(ctx, *id, map[string]string{"to": flag.Arg(0), "subject": flag.Arg(1), "text": flag.Arg(2)})
	switch {
	case err == nil:
		fmt.Println(*id)
	case errors.Is(err, errUnroutable), errors.Is(err, errRefused):
		fail("Not published: %v", err)
	default:
		fail("Not known whether it was published: %v. Try again with -id %s", err, *id)
	}
}

// publish returns nil once the broker has the message.
func publish(ctx context.Context, id string, payload any) error {
	body, err := json.Marshal(payload)
	if err != nil {
		return err
	}
	connection, err := amqp.DialConfig(brokerURL(), amqp.Config{Dial: amqp.DefaultDial(confirmTimeout)})
	if err != nil {
		return err
	}
	defer connection.Close()
	channel, err := connection.Channel()
	if err != nil {
		return err
	}
	if err := channel.Confirm(false); err != nil {
		return err
	}
	// The broker returns what no queue takes, and confirms it after that.
	returned := channel.NotifyReturn(make(chan amqp.Return, 1))
	confirmed := channel.NotifyPublish(make(chan amqp.Confirmation, 1))
	err = channel.PublishWithContext(ctx, "jobs", contract, true, false, amqp.Publishing{
		MessageId:    id,
		Type:         contract,
		ContentType:  "application/json",
		DeliveryMode: amqp.Persistent,
		Timestamp:    time.Now(),
		Headers:      amqp.Table{"x-attempt": int32(1)},
		Body:         body,
	})
	if err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		return fmt.Errorf("no confirm within %v", confirmTimeout)
	case confirmation, isOpen := <-confirmed:
		if !isOpen {
			return errors.New("the connection was lost before the confirm")
		}
		if len(returned) > 0 {
			return errUnroutable
		}
		if !confirmation.Ack {
			return errRefused
		}
		return nil
	}
}

func brokerURL() string {
	if urls := os.Getenv("RABBITMQ_URL"); urls != "" {
		return strings.Split(urls, ",")[0]
	}
	return "amqp://guest:guest@localhost:5672"
}

// uuid7 makes a UUID of version 7, whose order is time.
func uuid7() string {
	var b [16]byte
	if _, err := rand.Read(b[:]); err != nil {
		panic(err)
	}
	binary.BigEndian.PutUint64(b[:8], uint64(time.Now().UnixMilli())<<16|uint64(binary.BigEndian.Uint16(b[6:8])))
	b[6] = b[6]&0x0f | 0x70 // version
	b[8] = b[8]&0x3f | 0x80 // variant
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

func fail(format string, values ...any) {
	fmt.Fprintf(os.Stderr, format+"\n", values...)
	os.Exit(1)
}
