/**
 * Where each probe has been seen to say LEAK. `red.test.ts` repeats all of it but what says why not.
 */
const PLACES: Readonly<Record<string, string>> = {
  'dewar as it comes':
    'O01 O02 O03 O04 O05 O06 O07 O08 O10 O13 O14 O15 O19 O25 O29 O37 O38 I02 I04 I05 I08 I09 I10 I12 I26 I41 A12 A14 A19 A23 A29',
  'dockerd as it comes': 'I01 I03 I07 I11 I15 I16 I18 I21 I22 I23 I28 I38 I42 A20 A21 A28 O36',
  'that gives its containers eight times the weight': 'A27',
  'packets left to threads of the kernel': 'A13',
  'ground truth': 'A01 A06 A10 A11 A15 A17 I13 I14 I19 I20 I27 I29 I30 I31 I32 I33 I34 I57 I61 A31',
  'without limits': 'A02 A03 A09',
  'without read-only mounts': 'I60',
  'that passes its environment on': 'I39',
  'whose storage is open to all': 'O17',
  'that forgets files and a namespace': 'O31 O32',
  'that leaves a folder open': 'I35',
  'that goes inside with a program of the host': 'I36',
  'copies by paths of the host': 'I40',
  'a bridge that is a hub': 'O16',
  'a socket open to all': 'O18',
  'audit.test.ts, on a disk of its own': 'O22 O23 O24 A07 A08',
  'podman 4.3.1 by hand (docs/AUDIT.md)': 'I37',
  'whose containers share one limit of writing': 'A05',
  'by hand (docs/AUDIT.md)': 'A04',
  'machines/audit.test.ts, in an emulated machine whose kernel has what this one lacks':
    'I17 I24 I25 A18 A30',
}

/** By probe. */
export const SEEN: Readonly<Record<string, string>> = Object.fromEntries(
  Object.entries(PLACES).flatMap(([place, ids]) => ids.split(' ').map((id) => [id, place])),
)
