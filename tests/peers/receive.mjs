// Receives messages over MLLP with npm's @medplum/hl7; prints its port, then what it reads of each as JSON.
// A message of a patient named REFUSE is answered AE, every other AA.
import { createRequire } from 'node:module';

const [packages] = process.argv.slice(2);
const load = createRequire(`${packages}/`);
const { Hl7Server } = load('@medplum/hl7');

const server = new Hl7Server((connection) => {
  connection.addEventListener('message', ({ message }) => {
    const family = message.getSegment('PID').getField(5).getComponent(1);
    console.log(JSON.stringify({
      id: message.getSegment('MSH').getField(10).toString(),
      family,
      value: message.getSegment('OBX').getField(5).toString(),
    }));
    connection.send(message.buildAck({ ackCode: family === 'REFUSE' ? 'AE' : 'AA' }));
  });
});
server.start(0, 'utf-8');
server.server.once('listening', () => console.log(server.server.address().port));
